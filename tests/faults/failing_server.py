"""`mingce province serve` on a disk that fails once a file appears: FILE FOLDER, then the command's words."""

from __future__ import annotations

import ctypes
import errno
import sys
import threading
import time
from pathlib import Path

from failing_disk import Mode

from scripts import cli


def fail_when_told(file: Path, folder: Path) -> None:
    while not file.exists():
        time.sleep(0.01)
    ctypes.CDLL(None).fault_arm(str(folder).encode(), 1, int(Mode.FROM_THEN_ON), errno.EIO)
    file.unlink()


if __name__ == "__main__":
    told, failing, *words = sys.argv[1:]
    threading.Thread(target=fail_when_told, args=(Path(told), Path(failing)), daemon=True).start()
    sys.argv = ["mingce", *words]
    cli.main()
