"""Make the bundle: build our wheel, fetch the others by their hashes, describe them, put all into one archive.

Needs a network, pip, maturin and cargo; run by ``make bundle``. docs/how-to/install.md says what to do with it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from scripts.bundle.lock import needed, read_lock
from scripts.bundle.sbom import write_bill

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("deploy", "docs", "CHANGELOG.md", "LICENSE", "README.md", "README.zh.md", "requirements.lock")


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    work = folder / f"{name}-{version}"
    shutil.rmtree(work, ignore_errors=True)
    (work / "wheels").mkdir(parents=True)
    run("maturin", "build", "--release", "--quiet", "--out", work / "wheels")
    fetch_wheels(work)
    finish(work, name, version)
    archive = pack(work)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    sys.stdout.write(f"{digest}  {archive.name}\n")


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], cwd=ROOT, check=True)  # noqa: S603  our own words


def fetch_wheels(work: Path) -> None:
    """Each package that the program needs, as the lock's hashes say; one that has no wheel is built into one here."""
    lock = work / "needed.lock"
    packages = needed(read_lock((ROOT / "requirements.lock").read_text("utf-8")))
    lock.write_text("\n".join(package.text for package in packages) + "\n", "utf-8")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--require-hashes", "--no-deps", "--requirement", lock, "--wheel-dir", work / "wheels")
    lock.unlink()


def finish(work: Path, name: str, version: str) -> None:
    """Everything but the wheels: files of the repository, the lock of the very wheels here, the bill, the sums."""
    for copied in COPIED:
        source = ROOT / copied
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, work / copied)
    shutil.copy2(ROOT / "deploy/bundle/install.sh", work / "install.sh")
    wheels = sorted((work / "wheels").glob("*.whl"))
    (work / "wheels.lock").write_text("".join(map(_locked, wheels)), "utf-8")
    (work / "VERSION").write_text(f"{version}\n", "utf-8")
    (work / "sbom.cdx.json").write_bytes(write_bill(name, version, wheels, (ROOT / "Cargo.lock").read_text("utf-8")))
    files = sorted(path for path in work.rglob("*") if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(work)}\n" for path in files)
    (work / "SHA256SUMS").write_text(sums, "utf-8")


def pack(work: Path) -> Path:
    """The folder as one archive that does not depend on who packs it, and when."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
        return entry

    archive = work.with_name(f"{work.name}.tar")
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as out:
        out.add(work, arcname=work.name, recursive=False, filter=plain)
        for path in sorted(work.rglob("*")):
            out.add(path, arcname=f"{work.name}/{path.relative_to(work)}", recursive=False, filter=plain)
    return archive


def _locked(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


if __name__ == "__main__":
    main()
