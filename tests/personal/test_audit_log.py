"""The bureau's audit log: what is edited, deleted, moved or cut shows, and where; a head that was kept tells more."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pysqlite3
import pytest
from bureau_office import ADMIN, AUDITOR, CHECKER, HANDLER, make_office, spring
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.identity import Identity
from matcher.audit import AuditBroken, AuditHead, Fault, Verified, verify_rows
from matcher.audit_file import AuditChainInvalid, read_chain
from matcher.audit_head import AuditHeadInvalid, open_head, sign_head
from matcher.bureau.actors import NotAllowed
from matcher.bureau.audit_log import AuditLog
from matcher.bureau.office import FILE_NAME, Office
from psi.errors import VerificationError

ROWS = 12
HOME = Identity("演示县财政局", "bureau", bytes([3]) * 32)
OTHER = Identity("邻县财政局", "bureau", bytes([4]) * 32)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = make_office(tmp_path / "bureau", spring())
    with made.writing():
        for number in range(ROWS):
            made.record_within(
                HANDLER if number % 2 else CHECKER,
                "household.move",
                f"household/{number}",
                purpose="演示",
                number=number,
            )
    yield made
    made.close()


def tamper(office: Office, *statements: str) -> None:
    """As somebody who has the file and drops the triggers that guard it."""
    connection = pysqlite3.connect(str(office.home / FILE_NAME), isolation_level=None)
    for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
        connection.execute(statement)
    connection.close()


def faults(office: Office, *kept: AuditHead) -> list[Fault]:
    return list(AuditLog(office).verify(kept).faults)


def head(office: Office) -> AuditHead:
    return AuditLog(office).verify().head


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE audit SET actor = 'other' WHERE seq = 5", [Fault(5, "edited")]),
        ("UPDATE audit SET detail = replace(detail, '演示', '另外') WHERE seq = 1", [Fault(1, "edited")]),
        ("UPDATE audit SET hash = previous WHERE seq = 12", [Fault(12, "edited")]),
        ("UPDATE audit SET hash = previous WHERE seq = 6", [Fault(6, "edited")]),
        ("UPDATE audit SET previous = hash WHERE seq = 6", [Fault(6, "edited")]),
        ("DELETE FROM audit WHERE seq = 1", [Fault(1, "missing", 1)]),
        ("DELETE FROM audit WHERE seq BETWEEN 4 AND 7", [Fault(4, "missing", 7)]),
        ("DELETE FROM audit WHERE seq IN (3, 9)", [Fault(3, "missing", 3), Fault(9, "missing", 9)]),
        ("UPDATE audit SET seq = 0 WHERE seq = 12", [Fault(0, "inserted")]),
        ("UPDATE audit SET seq = 20 WHERE seq = 12", [Fault(12, "missing", 19), Fault(20, "moved", 12)]),
    ],
)
def test_one_change_is_one_fault_at_its_place(office: Office, change: str, found: list[Fault]) -> None:
    assert faults(office) == []
    tamper(office, change)
    assert faults(office) == found
    with pytest.raises(AuditBroken) as caught:
        office.verify_audit()
    assert (caught.value.params["seq"], caught.value.params["kind"]) == (found[0].seq, found[0].kind)


def test_two_rows_that_changed_places(office: Office) -> None:
    tamper(
        office,
        "UPDATE audit SET seq = 100 WHERE seq = 5",
        "UPDATE audit SET seq = 5 WHERE seq = 9",
        "UPDATE audit SET seq = 9 WHERE seq = 100",
    )
    assert faults(office) == [Fault(5, "moved", 9), Fault(9, "moved", 5)]


def test_a_row_written_anew_with_a_hash_of_its_own(office: Office, tmp_path: Path) -> None:
    """Whoever knows how the chain is made can make a row that fits itself; the next one does not fit it."""
    forger = make_office(tmp_path / "forger", spring())
    with forger.writing():
        for number in range(ROWS):
            purpose = "另外" if number == 4 else "演示"
            forger.record_within(
                HANDLER if number % 2 else CHECKER,
                "household.move",
                f"household/{number}",
                purpose=purpose,
                number=number,
            )
    forger.close()
    attach = f"ATTACH '{tmp_path / 'forger' / FILE_NAME}' AS other"
    row = "(detail, previous, hash) = (SELECT detail, previous, hash FROM other.audit o WHERE o.seq = audit.seq)"
    before = head(office)
    tamper(office, attach, f"UPDATE main.audit SET {row} WHERE seq = 5")  # noqa: S608
    assert faults(office) == [Fault(5, "replaced")]
    tamper_again = pysqlite3.connect(str(office.home / FILE_NAME), isolation_level=None)
    tamper_again.execute(attach)
    tamper_again.execute(f"UPDATE main.audit SET {row} WHERE seq > 5")  # noqa: S608
    tamper_again.close()
    assert faults(office) == [], "the whole chain written anew is whole in itself"
    assert faults(office, before) == [Fault(ROWS, "replaced")]


def test_rows_cut_off_the_end_show_by_a_head_that_was_kept(office: Office) -> None:
    before = head(office)
    tamper(office, "DELETE FROM audit WHERE seq > 9")
    assert faults(office) == []
    assert faults(office, before) == [Fault(10, "cut", ROWS)]


def test_an_older_head_still_holds_when_the_chain_has_grown(office: Office) -> None:
    before = head(office)
    with office.writing():
        office.record_within(HANDLER, "household.move", "household/1")
    assert faults(office, before, AuditHead(3, "0" * 64)) == [Fault(3, "replaced")]


@settings(max_examples=30)
@given(st.data())
def test_whatever_is_done_to_one_row_shows(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    office = make_office(tmp_path_factory.mktemp("audit") / "bureau", spring())
    try:
        with office.writing():
            for number in range(ROWS):
                office.record_within(HANDLER, "household.move", f"household/{number}")
        column = data.draw(st.sampled_from(["at", "actor", "action", "subject", "detail", "previous", "hash"]))
        seq = data.draw(st.integers(1, ROWS))
        added = data.draw(st.text(st.characters(codec="utf-8", exclude_characters="\0'"), min_size=1, max_size=5))
        change = f"UPDATE audit SET {column} = {column} || '{added}' WHERE seq = {seq}"  # noqa: S608
        tamper(office, change)
        assert faults(office) == [Fault(seq, "edited")]
    finally:
        office.close()


class TestHead:
    def test_the_signed_head_is_the_last_row_and_says_who_had_it_signed(self, office: Office) -> None:
        found, document = AuditLog(office).sign_head(AUDITOR, HOME)
        assert found.seq == ROWS + 1
        signed = open_head(document, HOME.public)
        assert (signed.head, signed.signed_by, signed.home) == (found, AUDITOR.name, HOME.public.fingerprint)
        (row,) = AuditLog(office).list_rows(AUDITOR, limit=1)
        assert (row.action, row.subject, row.actor) == ("audit.head", f"audit/{ROWS}", AUDITOR.name)
        assert faults(office, signed.head) == []

    def test_another_homes_head_is_refused(self, office: Office) -> None:
        _, document = AuditLog(office).sign_head(AUDITOR, HOME)
        with pytest.raises(VerificationError):
            open_head(document, OTHER.public)
        with pytest.raises(VerificationError):
            open_head(document[:-2], HOME.public)

    @pytest.mark.parametrize("seq", [0, -1])
    def test_a_head_names_a_row(self, seq: int) -> None:
        document = sign_head(HOME, AuditHead(seq, "0" * 64), signed_by="x", at=spring().now())
        with pytest.raises(AuditHeadInvalid):
            open_head(document, HOME.public)

    def test_a_broken_chain_is_not_signed(self, office: Office) -> None:
        tamper(office, "UPDATE audit SET actor = 'other' WHERE seq = 5")
        with pytest.raises(AuditBroken):
            AuditLog(office).sign_head(AUDITOR, HOME)


class TestExport:
    """A chain as a file, read without the home: it shows what the home's own verification shows."""

    def take(self, office: Office, path: Path) -> AuditHead:
        return AuditLog(office).export(AUDITOR, HOME.public, path, purpose="年度审计")

    def look(self, path: Path, *kept: AuditHead, of: Identity = HOME) -> Verified:
        return verify_rows(read_chain(path, of.public.fingerprint), kept)

    def test_the_file_holds_the_chain_and_who_took_it(self, office: Office, tmp_path: Path) -> None:
        before = head(office)
        taken = self.take(office, tmp_path / "chain.jsonl")
        assert self.look(tmp_path / "chain.jsonl", before, taken) == Verified(taken, ())
        (row,) = AuditLog(office).list_rows(AUDITOR, limit=1)
        assert (row.seq, row.action, row.actor) == (taken.seq, "export.audit_chain", AUDITOR.name)
        assert row.detail["purpose"] == "年度审计"
        assert (tmp_path / "chain.jsonl").stat().st_mode & 0o077 == 0

    def test_a_broken_chain_is_written_as_it_stands(self, office: Office, tmp_path: Path) -> None:
        tamper(office, "UPDATE audit SET actor = 'other' WHERE seq = 5", "DELETE FROM audit WHERE seq = 8")
        self.take(office, tmp_path / "chain.jsonl")
        assert self.look(tmp_path / "chain.jsonl").faults == (Fault(5, "edited"), Fault(8, "missing", 8))

    def test_what_is_changed_in_the_file_shows(self, office: Office, tmp_path: Path) -> None:
        path, kept = tmp_path / "chain.jsonl", head(office)
        end = self.take(office, path)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:7]))
        assert self.look(path).faults == ()
        assert self.look(path, kept).faults == (Fault(7, "cut", ROWS),)
        path.write_bytes(b"".join([*lines[:3], *lines[4:]]))
        assert self.look(path) == Verified(end, (Fault(3, "missing", 3),))
        path.write_bytes(b"".join(lines).replace(b'"household/6"', b'"household/5"'))
        assert self.look(path).faults == (Fault(7, "edited"),)

    @pytest.mark.parametrize(
        "change",
        [
            lambda lines: [],
            lambda lines: lines[1:],
            lambda lines: [*lines[:4], lines[5], lines[4]],
            lambda lines: [*lines[:4], lines[3]],
            lambda lines: [*lines[:4], lines[0]],
            lambda lines: [*lines[:4], b"null\n", *lines[4:]],
            lambda lines: [*lines[:4], b"\n", *lines[4:]],
            lambda lines: [*lines[:4], lines[4][:-1]],
            lambda lines: [*lines[:4], lines[4][:40]],
            lambda lines: [*lines[:4], b'[4,"\\ud800","","","","","",""]\n'],
            lambda lines: [*lines[:4], b'[1e3,"","","","","","",""]\n'],
            lambda lines: [*lines[:4], b"[" * 200_000],
            lambda lines: [*lines[:4], b"\xff\n"],
        ],
    )
    def test_what_is_no_exported_chain_is_refused(
        self, office: Office, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
    ) -> None:
        path = tmp_path / "chain.jsonl"
        self.take(office, path)
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
        with pytest.raises(AuditChainInvalid):
            self.look(path)

    def test_another_homes_chain_is_refused(self, office: Office, tmp_path: Path) -> None:
        self.take(office, tmp_path / "chain.jsonl")
        with pytest.raises(AuditChainInvalid):
            self.look(tmp_path / "chain.jsonl", of=OTHER)

    def test_it_takes_sight_of_the_log_and_leave_to_export(self, office: Office, tmp_path: Path) -> None:
        for actor in (HANDLER, ADMIN):
            with pytest.raises(NotAllowed):
                AuditLog(office).export(actor, HOME.public, tmp_path / "chain.jsonl", purpose="x")
        assert not (tmp_path / "chain.jsonl").exists()

    def test_a_few_lines_of_any_language_verify_it(self, office: Office, tmp_path: Path) -> None:
        """The program in the reference, as it stands there, without one of our packages."""
        end = self.take(office, tmp_path / "chain.jsonl")
        text = (Path(__file__).resolve().parents[2] / "docs/reference/signed-documents.md").read_text("utf-8")
        (program,) = re.findall(r"```python\n(.*?)```", text, re.S)
        (tmp_path / "verify.py").write_text(program, "utf-8")

        def run() -> subprocess.CompletedProcess[str]:
            words = [sys.executable, "-I", "verify.py", "chain.jsonl"]
            return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

        assert run().stdout.split() == [str(end.seq), end.hash]
        content = (tmp_path / "chain.jsonl").read_bytes()
        (tmp_path / "chain.jsonl").write_bytes(content.replace(b'"household/6"', b'"household/5"'))
        assert (run().returncode, "row 7" in run().stderr) == (1, True)


def test_of_two_heads_for_one_row_each_is_held_against_the_chain(office: Office) -> None:
    kept = AuditHead(ROWS, "0" * 64), head(office)
    assert faults(office, *kept) == faults(office, *reversed(kept)) == [Fault(ROWS, "replaced")]


class TestReading:
    def test_filters(self, office: Office) -> None:
        log = AuditLog(office)
        with office.writing():
            office.record_within(ADMIN, "account.close", "account/3")
        assert [row.seq for row in log.list_rows(AUDITOR, limit=3)] == [13, 12, 11]
        assert [row.seq for row in log.list_rows(AUDITOR, before=12, limit=2)] == [11, 10]
        assert {row.actor for row in log.list_rows(AUDITOR, account=CHECKER.name)} == {CHECKER.name}
        assert [row.action for row in log.list_rows(AUDITOR, action="account")] == ["account.close"]
        assert len(log.list_rows(AUDITOR, action="household.move")) == ROWS
        assert log.list_rows(AUDITOR, action="house") == []
        assert [row.detail["number"] for row in log.list_rows(AUDITOR, subject="household/7")] == [7]

    def test_days_are_china_s(self, office: Office) -> None:
        """All rows are of 09:00 in Beijing on 2025-03-03, which is 01:00 UTC."""
        log, day = AuditLog(office), date(2025, 3, 3)
        assert len(log.list_rows(AUDITOR, since=day, until=day)) == ROWS
        assert log.list_rows(AUDITOR, since=date(2025, 3, 4)) == []
        assert log.list_rows(AUDITOR, until=date(2025, 3, 2)) == []

    def test_only_who_may_reads_it(self, office: Office) -> None:
        with pytest.raises(NotAllowed):
            AuditLog(office).list_rows(HANDLER)
        with pytest.raises(NotAllowed):
            AuditLog(office).sign_head(HANDLER, HOME)
