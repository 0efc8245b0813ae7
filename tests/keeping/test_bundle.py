"""The bundle for hosts without a network: what of the lock it holds, its bill of materials, how it installs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.bundle.lock import needed, read_lock
from scripts.bundle.sbom import describe_wheel, write_bill

ROOT = Path(__file__).resolve().parents[2]
LOCK = read_lock((ROOT / "requirements.lock").read_text("utf-8"))
INSTALL = ROOT / "deploy/bundle/install.sh"


def test_the_program_without_its_development() -> None:
    names = {package.name for package in needed(LOCK)}
    assert {"cryptography", "pynacl", "pysqlite3", "fastapi", "starlette", "cffi", "openmined-psi"} <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "playwright", "maturin"}
    for package in needed(LOCK):
        assert package.text.startswith(f"{package.name}")
        assert "--hash=sha256:" in package.text
        assert "#" not in package.text


def make_wheel(folder: Path, name: str, version: str, more: str = "") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(
            f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}\n"
        )
    return path


def test_the_bill_names_every_wheel_and_every_crate(tmp_path: Path) -> None:
    ours = make_wheel(tmp_path, "mingce", "9.9", "License-Expression: Apache-2.0")
    other = make_wheel(tmp_path, "Some_Thing", "1.0", "License: MIT")
    bill = json.loads(write_bill("mingce", "9.9", [other, ours], (ROOT / "Cargo.lock").read_text("utf-8")))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/mingce@9.9"
    found = {component["purl"]: component for component in bill["components"]}
    assert len(found) == len(bill["components"])
    thing = found["pkg:pypi/some_thing@1.0"]
    assert thing["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(other.read_bytes()).hexdigest()}]
    assert thing["licenses"] == [{"license": {"name": "MIT"}}]
    assert sum(purl.startswith("pkg:cargo/") for purl in found) == (ROOT / "Cargo.lock").read_text("utf-8").count(
        "checksum"
    )
    again = write_bill("mingce", "9.9", [ours, other], (ROOT / "Cargo.lock").read_text("utf-8"))
    assert json.loads(again) == bill
    assert "licenses" not in describe_wheel(make_wheel(tmp_path, "bare", "1"))


def install(folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INPUT": "1"}
    return subprocess.run(
        [folder / "install.sh", target, sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        umask=0o077,  # as root's is on a hardened host
    )


def test_nothing_is_installed_from_a_bundle_that_was_changed(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "wheels").mkdir(parents=True)
    (bundle / "install.sh").write_bytes(INSTALL.read_bytes())
    (bundle / "install.sh").chmod(0o755)
    (bundle / "VERSION").write_text("9.9\n")
    (bundle / "wheels.lock").write_text("")
    sums = {name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in ("VERSION", "wheels.lock")}
    (bundle / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    (bundle / "wheels.lock").write_text("x==1\n")
    refused = install(bundle, tmp_path / "opt")
    assert refused.returncode == 6
    assert "SHA256SUMS" in refused.stderr
    (bundle / "wheels.lock").write_text("")
    (tmp_path / "opt").mkdir()
    assert install(bundle, tmp_path / "opt").returncode == 3  # not a link of ours
    (tmp_path / "opt").rmdir()
    failed = install(bundle, tmp_path / "opt")  # whole, but there is no program in it
    assert failed.returncode != 0
    assert not (tmp_path / "opt").exists()
    assert list((tmp_path / "opt-releases").iterdir()) == []


@pytest.mark.slow
def test_a_bundle_installs_without_a_network(tmp_path: Path) -> None:
    """Made as `make bundle` makes it, which takes a network and a compiler; installed twice, and used."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "scripts.bundle", tmp_path], check=True, cwd=ROOT, env=environment)
    (archive,) = tmp_path.glob("mingce-*.tar")
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path, "--one-top-level=unpacked"], check=True)
    (bundle,) = (tmp_path / "unpacked").iterdir()
    done = install(bundle, tmp_path / "opt")
    assert done.returncode == 0, done.stderr
    program = tmp_path / "opt/bin/mingce"
    for path in (program, *program.resolve().parents[:2], *(tmp_path / "opt/lib").rglob("scripts/cli.py")):
        assert path.stat().st_mode & 0o044 == 0o044, path  # the service is another user
    subprocess.run([program, "province", "init", "p"], check=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    doctor = subprocess.run(
        [program, "doctor", "--config", "p", "--json"], capture_output=True, check=False, cwd=tmp_path
    )
    assert "findings" in json.loads(doctor.stdout)
    assert install(bundle, tmp_path / "opt").returncode == 3  # this version is there already
    bill = json.loads((bundle / "sbom.cdx.json").read_bytes())
    wheels = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (bundle / "wheels").iterdir()}
    told = {each["hashes"][0]["content"] for each in [*bill["components"], bill["metadata"]["component"]]}
    assert wheels <= told
