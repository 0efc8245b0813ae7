"""Writes them: ``python -m scripts.references docs/reference``."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.references import DOCUMENTS

if __name__ == "__main__":
    for name, reference in DOCUMENTS.items():
        (Path(sys.argv[1]) / name).write_text(reference(), "utf-8")
