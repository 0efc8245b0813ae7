"""For ``spark-submit``: the command ``mingce province encode-on-spark`` with the arguments given to the job."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which Python puts first for a script
    from scripts.cli import main

    sys.argv[1:1] = ["province", "encode-on-spark"]
    main()
