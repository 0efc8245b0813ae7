"""Published files over HTTP: an ETag that is the content's SHA-256, conditional requests, one byte range."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api.problems import RangeNotSatisfiable
from psi.remembered import EditionInconsistent

_RANGE = re.compile(r"bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))")


def download(request: Request, path: Path, *, sha256: str, media_type: str) -> Response:
    """The file, a part of it, or 304 (RFC 9110 sections 13 and 14).

    A Range that is malformed, asks for several parts, or comes with an If-Range for other
    content is ignored, as the RFC allows: the whole file is sent.
    Raises RangeNotSatisfiable; EditionInconsistent if the file is gone.
    """
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    try:
        facts = path.stat()
    except OSError as error:
        raise EditionInconsistent(f"a published file cannot be read: {type(error).__name__}") from None
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", etag) != etag:
        request.scope["headers"] = [field for field in request.scope["headers"] if field[0] != b"range"]
    else:
        _check_range(asked, facts.st_size)
    return FileResponse(path, headers=headers, media_type=media_type, stat_result=facts)


def _matches(field: str | None, etag: str) -> bool:
    """RFC 9110 section 13.1.2: weak comparison with any of the listed tags."""
    if field is None:
        return False
    return field.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in field.split(",")]


def _check_range(asked: re.Match[str], length: int) -> None:
    first, last, suffix = asked.groups()
    if suffix is not None:
        satisfiable = int(suffix) > 0
    else:
        satisfiable = int(first) < length and (not last or int(first) <= int(last))
    if not satisfiable:
        raise RangeNotSatisfiable("the range holds no byte of the file", length=length)
