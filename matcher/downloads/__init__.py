"""Files that leave the bureau through a browser: with a reason, a number and a mark, and two persons where they name
people (docs/reference/downloads.md)."""

from matcher.downloads.service import (
    Download,
    Downloads,
    DownloadStateInvalid,
    DownloadTooLarge,
    DownloadUnknown,
    FileOut,
    State,
    Wanted,
)

__all__ = [
    "Download",
    "DownloadStateInvalid",
    "DownloadTooLarge",
    "DownloadUnknown",
    "Downloads",
    "FileOut",
    "State",
    "Wanted",
]
