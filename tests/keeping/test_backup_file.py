"""A backup that was cut, changed, mixed with others or made by somebody hostile opens or fails, nothing between."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from homes import CHEAP, PASSPHRASE
from hypothesis import given
from hypothesis import strategies as st

from keys.backupfile import (
    BackupForOther,
    BackupInvalid,
    BackupKeyInvalid,
    BackupRecipient,
    create_backup_key,
    open_backup_key,
    read_backup,
    write_backup,
)
from keys.envelope import sign_envelope
from keys.identity import Identity
from keys.wrap import KeyUnwrapFailed, PassphraseTooShort
from matcher.keeping.packing import LIST_NAME, LIST_TYPE, BackupList, PackedFile, pack, unpack
from psi.errors import VerificationError

IDENTITY = Identity("演示省", "province", bytes([5]) * 32)
KEY_FILE, RECIPIENT = create_backup_key("演示", PASSPHRASE, os.urandom, cost=CHEAP)
KEY = open_backup_key(KEY_FILE, PASSPHRASE)
FILES = {"a.sqlite": os.urandom(70_000), "b/空": b"", "b/c": b"x" * 512}


def listed(files: tuple[PackedFile, ...]) -> BackupList:
    return BackupList(IDENTITY.public, "0", "2026-01-05T09:00:00Z", {"a.sqlite": (3, "0" * 64)}, files, ("secrets",))


def sign(files: tuple[PackedFile, ...]) -> bytes:
    return sign_envelope(IDENTITY, LIST_TYPE, listed(files).encode())


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return b"".join(pack(folder, sorted(map(Path, FILES)), sign, lambda done: None))


@pytest.fixture(scope="module")
def backup(packed: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "b.mcbk"
    write_backup(path, RECIPIENT, iter([packed]))
    return path


def read(path: Path, target: Path | None = None) -> BackupList:
    return unpack(read_backup(path, KEY), target, lambda done: None)


def test_what_went_in_comes_out(backup: Path, tmp_path: Path) -> None:
    found = read(backup, tmp_path / "out")
    assert found == listed(found.files)
    assert {path: (tmp_path / "out" / path).read_bytes() for path in FILES} == FILES
    assert not any(content[:16] in backup.read_bytes() for content in FILES.values() if content)


def test_any_tar_reads_it(packed: bytes) -> None:
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        assert archive.getnames() == [*(f"home/{name}" for name in sorted(FILES)), LIST_NAME]


@given(data=st.data())
def test_a_changed_bit_a_cut_or_an_addition_is_noticed(
    backup: Path, tmp_path_factory: object, data: st.DataObject
) -> None:
    content = bytearray(backup.read_bytes())
    place = data.draw(st.one_of(st.integers(0, 300), st.integers(0, len(content) - 1)))
    kind = data.draw(st.sampled_from(["bit", "cut", "more", "insert"]))
    if kind == "bit":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut":
        del content[place:]
    elif kind == "more":
        content += os.urandom(1 + place % 40)
    else:
        content[place:place] = b"\x00"
    damaged = backup.with_name("damaged.mcbk")
    damaged.write_bytes(content)
    with pytest.raises(VerificationError):
        read(damaged)


def test_chunks_in_another_order_or_of_another_backup_do_not_open(backup: Path, packed: bytes, tmp_path: Path) -> None:
    content = backup.read_bytes()
    start, chunk = 5 + 32 + 80 + 5 + 24, 65_536 + 17
    swapped = content[:start] + content[start + chunk :] + content[start : start + chunk]
    write_backup(tmp_path / "other", RECIPIENT, iter([packed]))
    mixed = content[:start] + (tmp_path / "other").read_bytes()[start:]
    header = (tmp_path / "other").read_bytes()[: 5 + 32 + 80] + content[5 + 32 + 80 :]
    for number, bad in enumerate((swapped, mixed, header)):
        (tmp_path / str(number)).write_bytes(bad)
        with pytest.raises(VerificationError):
            read(tmp_path / str(number))


def test_another_key_does_not_open_it(backup: Path) -> None:
    other = open_backup_key(create_backup_key("别人", PASSPHRASE, os.urandom, cost=CHEAP)[0], PASSPHRASE)
    with pytest.raises(BackupForOther) as refused:
        next(read_backup(backup, other))
    assert refused.value.params["found"] == RECIPIENT.public_key.hex()


def archive(*entries: tuple[str, bytes]) -> Iterator[bytes]:
    """What a hostile author packs."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, BytesIO(content))
    return iter([out.getvalue()])


@pytest.mark.parametrize(
    "name", ["../x", "home/../../x", "/etc/x", "home", "home/", "x", "home//x", "home/./x", "home/a/../x"]
)
def test_no_file_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(BackupInvalid):
        unpack(archive((name, b"x"), (LIST_NAME, sign(()))), tmp_path / "in" / "home", lambda done: None)
    assert not list(tmp_path.rglob("x"))


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        out = BytesIO()
        with tarfile.open(fileobj=out, mode="w") as made:
            entry = tarfile.TarInfo("home/x")
            entry.type, entry.linkname = kind, "/etc/passwd"
            made.addfile(entry)
        with pytest.raises(BackupInvalid):
            unpack(iter([out.getvalue()]), tmp_path, lambda done: None)


def test_the_list_must_be_there_be_signed_and_be_right() -> None:
    import hashlib

    right = PackedFile("x", 1, hashlib.sha256(b"x").hexdigest())
    stranger = sign_envelope(Identity("他人", "province", bytes([6]) * 32), LIST_TYPE, listed((right,)).encode())
    cases = [
        [("home/x", b"x")],
        [("home/x", b"y"), (LIST_NAME, sign((right,)))],
        [(LIST_NAME, sign((right,)))],
        [("home/x", b"x"), ("home/x", b"x"), (LIST_NAME, sign((right, right)))],
        [("home/x", b"x"), (LIST_NAME, sign((right,))), ("home/y", b"y")],
        [("home/x", b"x"), (LIST_NAME, stranger)],
        [("home/x", b"x"), (LIST_NAME, b"{}")],
        [],
    ]
    for entries in cases:
        with pytest.raises(VerificationError):
            unpack(archive(*entries), None, lambda done: None)
    assert unpack(archive(("home/x", b"x"), (LIST_NAME, sign((right,)))), None, lambda done: None) == listed((right,))


def test_key_files(tmp_path: Path) -> None:
    assert BackupRecipient.from_json(RECIPIENT.to_json()) == RECIPIENT
    with pytest.raises(KeyUnwrapFailed):
        open_backup_key(KEY_FILE, PASSPHRASE + "x")
    with pytest.raises(PassphraseTooShort):
        create_backup_key("演示", "short", os.urandom)
    with pytest.raises(BackupKeyInvalid):
        open_backup_key(RECIPIENT.to_json(), PASSPHRASE)
    with pytest.raises(BackupKeyInvalid):
        BackupRecipient.from_json(KEY_FILE)
    with pytest.raises(BackupKeyInvalid):
        create_backup_key(" ", PASSPHRASE, os.urandom)
    other = create_backup_key("演示", PASSPHRASE, os.urandom, cost=CHEAP)[1]
    swapped = KEY_FILE.replace(RECIPIENT.public_key.hex().encode(), other.public_key.hex().encode())
    with pytest.raises(KeyUnwrapFailed):
        open_backup_key(swapped, PASSPHRASE)
