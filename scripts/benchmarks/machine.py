"""On what the figures were measured."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from keys.clock import Clock, format_time
from psi.oprf import backend_name, thread_count

PACKAGES = ("mingce", "openmined-psi", "cryptography", "pyarrow")
_FEATURES = ("avx2", "bmi2", "adx", "avx512f", "avx512ifma", "avx512vbmi", "sha_ni", "vaes")


def describe_machine(clock: Clock) -> dict[str, object]:
    """Processor, versions and load. No name of a machine, user or folder."""
    cpuinfo = _cpuinfo()
    return {
        "measured_at": format_time(clock.now()),
        "backend": backend_name(),
        "threads": thread_count(),
        "cpu": _first(cpuinfo, "model name") or platform.processor() or platform.machine(),
        "cpu_mhz": float(_first(cpuinfo, "cpu MHz") or 0),
        "cpu_features": sorted(set(_FEATURES) & set(_first(cpuinfo, "flags").split())),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8") if path.exists() else ""


def _first(cpuinfo: str, field: str) -> str:
    found = re.search(rf"^{field}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return found[1] if found else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
