"""A bureau backed up while it works: rows and files of one moment, and no session or code that lives twice."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from bureau_office import CHEAP as CHEAP_PASSWORD
from bureau_office import HANDLER, SECRET, make_account, make_office, spring
from homes import CHEAP, PASSPHRASE

from keys.backupfile import create_backup_key, open_backup_key
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek
from matcher.accounts.second_factor import CodeWrong, SecondFactor
from matcher.accounts.sessions import SessionInvalid, Sessions
from matcher.accounts.sign_in import SignIn
from matcher.attachments import Attachments
from matcher.bureau.office import Office
from matcher.images import CleanImage
from matcher.keeping.backup import create_backup, restore_backup

KEY_FILE, RECIPIENT = create_backup_key("演示", PASSPHRASE, os.urandom, cost=CHEAP)
KEY = open_backup_key(KEY_FILE, PASSPHRASE)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = make_office(tmp_path / "bureau", spring())
    keystore(made).create_identity("演示局", "bureau")
    yield made
    made.close()


def keystore(office: Office) -> KeyStore:
    return KeyStore(
        office.home, EnvironmentKek(environment={"MINGCE_KEK": "0c" * 32}), clock=office.clock, actor="test"
    )


def there_and_back(office: Office, place: Path) -> Office:
    """The office as it is in a restored home."""
    identity = keystore(office).get_identity()
    create_backup(office.home, place.with_suffix(".mcbk"), RECIPIENT, identity, office.clock, software="0")
    restore_backup(place.with_suffix(".mcbk"), KEY, place, office.clock, actor="test")
    return Office(place, SECRET, office.clock, office.divisions)


def image() -> CleanImage:
    jpeg = os.urandom(2_000)
    return CleanImage(jpeg, hashlib.sha256(jpeg).hexdigest(), 1, 1)


def test_rows_and_files_of_one_moment(office: Office, tmp_path: Path) -> None:
    """Photos come and go all the time; in each backup, every row has its file, and every file opens."""
    attachments, stop, faults = Attachments(office), threading.Event(), []

    def work() -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            try:
                with office.writing():
                    attachments.add_within(HANDLER, f"visit/{number}", "photo", image())
                    attachments.remove_within([f"visit/{number - 5}"])
                attachments.remove_orphans()
                stop.wait(0.002)
            except Exception as error:  # told below, in the test's own thread
                faults.append(error)
                return

    worker = threading.Thread(target=work)
    worker.start()
    rows = []
    try:
        for number in range(5):
            restored = there_and_back(office, tmp_path / f"again{number}")
            rows.append(restored.verify_audit().seq)
            assert Attachments(restored).list_damaged() == []
            restored.close()
    finally:
        stop.set()
        worker.join()
    assert faults == []
    assert len(set(rows)) == len(rows), "the bureau worked between the backups"


def test_sessions_end_and_no_code_is_good_twice(office: Office, tmp_path: Path) -> None:
    password = make_account(office, HANDLER)
    factor = SecondFactor(office)
    uri = factor.begin(HANDLER)
    code = pyotp.parse_uri(uri).at(int(office.clock.now().timestamp()))
    session = Sessions(office, SignIn(office, CHEAP_PASSWORD)).begin(HANDLER.name, password)
    assert Sessions(office).get_actor(session.token).name == HANDLER.name
    restored = there_and_back(office, tmp_path / "again")
    with pytest.raises(SessionInvalid):
        Sessions(restored).get_actor(session.token)
    with pytest.raises(CodeWrong):
        SecondFactor(restored).bind(HANDLER, code)  # it may have been used after the backup
    restored.close()
    factor.bind(HANDLER, code)
