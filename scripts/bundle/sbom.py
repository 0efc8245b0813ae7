"""A software bill of materials: CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/).

It has no time and no random number in it: the same bundle has the same bill.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import uuid
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path
from typing import Any


def describe_wheel(path: Path) -> dict[str, Any]:
    """A wheel by its own metadata and its hash."""
    with zipfile.ZipFile(path) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        about = Parser().parsestr(wheel.read(name).decode("utf-8"), headersonly=True)
    package, version = about["Name"], about["Version"]
    component = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{package.lower()}@{version}",
        "name": package,
        "version": version,
        "purl": f"pkg:pypi/{package.lower()}@{version}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
    }
    if expression := about["License-Expression"]:
        component["licenses"] = [{"expression": expression}]
    elif (text := about["License"]) and "\n" not in text and len(text) <= 100:
        component["licenses"] = [{"license": {"name": text}}]
    return component


def describe_crates(cargo_lock: str) -> list[dict[str, Any]]:
    """Every crate of a registry in a Cargo.lock, those of tests included."""
    components = []
    for package in tomllib.loads(cargo_lock)["package"]:
        if "checksum" in package:
            purl = f"pkg:cargo/{package['name']}@{package['version']}"
            components.append(
                {
                    "type": "library",
                    "bom-ref": purl,
                    "name": package["name"],
                    "version": package["version"],
                    "purl": purl,
                    "hashes": [{"alg": "SHA-256", "content": package["checksum"]}],
                }
            )
    return components


def write_bill(name: str, version: str, wheels: Iterable[Path], cargo_lock: str) -> bytes:
    """The bill of one bundle."""
    ours = f"pkg:pypi/{name}@{version}"
    described = [describe_wheel(path) for path in sorted(wheels)]
    (component,) = [each for each in described if each["bom-ref"] == ours]
    components = sorted(
        [each for each in described if each is not component] + describe_crates(cargo_lock),
        key=lambda each: str(each["bom-ref"]),
    )
    content = json.dumps(components, sort_keys=True)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": {**component, "type": "application"}},
        "components": components,
    }
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
