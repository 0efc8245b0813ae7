"""Everything that can be seen of a home's health without a network and without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from matcher.keeping.findings import Finding, Subject
from matcher.keeping.host_checks import check_backup, check_certificates, check_folder, check_host
from matcher.keeping.key_checks import check_keys
from matcher.keeping.store_checks import check_alarms, check_bank, check_bureau, check_databases, check_sender
from psi.errors import MingceError


def examine(subject: Subject, *, deep: bool = False) -> list[Finding]:
    """All findings, errors first. ``deep`` reads every byte of the served editions, too.

    A check that cannot be made is a finding itself; the others are made nevertheless.
    """
    found = _all(lambda: check_folder(subject))  # before anything is opened: SQLite takes old logs away
    damaged = _all(lambda: check_databases(subject))
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: check_backup(subject),
        lambda: check_certificates(subject),
    ]
    if not damaged:  # the others read the databases
        checks += [lambda: check_host(subject), lambda: check_keys(subject), lambda: check_alarms(subject)]
        if subject.party in ("province", "department"):
            checks.append(lambda: check_sender(subject, deep=deep))
        elif subject.party == "bank":
            checks.append(lambda: check_bank(subject))
        else:
            checks.append(lambda: check_bureau(subject))
    found += damaged
    for check in checks:
        found += _all(check)
    return sorted(found, key=lambda finding: finding.level)


def _all(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    found = []
    try:
        for finding in check():
            found.append(finding)  # one by one: those before an error stay
    except MingceError as error:
        found.append(Finding("error", error.code, {**error.params, "detail": error.detail}))
    except OSError as error:
        found.append(Finding("error", "file_unreadable", {"file": str(error.filename), "reason": str(error.strerror)}))
    return found
