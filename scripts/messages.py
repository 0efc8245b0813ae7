"""Errors on the command line: in the user's language (api/words.py has the sentences), and as exit codes."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from api import words
from keys.files import Locked
from psi.errors import InputError, MingceError, VerificationError
from scripts.language import chosen, say


class Refused(InputError):
    """Something a command was asked to do cannot be done; the sentence is already in the user's language."""

    code = "refused"

    def __init__(self, zh: str, en: str, next_zh: str = "", next_en: str = "", **params: object) -> None:
        super().__init__(en, **params)
        self.sentence, self.hint = say(zh, en), say(next_zh, next_en)


class FileAbsent(InputError):
    """A file that a command or a setting names is not there; ``params``: ``file``."""

    code = "file_absent"


def require_file(path: Path) -> Path:
    """Raises FileAbsent."""
    if not path.is_file():
        raise FileAbsent("no such file", file=str(path))
    return path


GUARDS = {
    "restore_unsettled",
    "checks_missing",
    "not_allowed",
    "not_in_care",
    "same_person",
    "account_state",
    "founders_complete",
    "declaration_decided",
    "epoch_still_valid",
    "records_unsettled",
    "record_not_countersigned",
    "opening_not_approved",
    "warrant_missing",
    "warrant_not_in_force",
    "warrant_exceeded",
    "signatures_missing",
    "operator_not_allowed",
    "list_shrunk",
    "list_withdrawn",
    "list_superseded",
    "whole_list_needed",
    "changes_misfit",
    "changes_out_of_order",
    "budget_exhausted",
    "edition_not_rising",
    "not_granted",
}
TEMPORARY = {
    "budget_waits",
    "exchange_expired",
    "province_unavailable",
    "peer_unavailable",
    "province_refused",
    "signature_refused",
    "certificate_refused",
    "clock_refused",
    "access_refused",
    "epoch_refused",
}
WAITING = {Locked.code, "busy"}


def explain(error: MingceError) -> tuple[str, str]:
    """What happened and what to do next, in the user's language."""
    if isinstance(error, Refused):
        return error.sentence, error.hint
    return explain_code(error.code, error.detail, error.params)


_NO_RIGHT = (
    "以运行服务的用户（mingce）运行，或改权限。",
    "Run it as the service's user (mingce), or mend permissions.",
)
_NO_ROOM = ("腾出磁盘空间或扩容，再运行一次。", "Make room or grow the disk, then run it again.")
_OF_FILES = {
    errno.ENOENT: ("核对文件名和所在目录，再运行一次。", "Check the file's name and folder, then run it again."),
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EISDIR: ("这是文件夹，请给出文件。", "That is a folder; name a file."),
    errno.ENOTDIR: ("路径中有一段不是文件夹，请核对。", "A part of the path is no folder; check it."),
}
_OF_DISK = ("检查磁盘和权限（mingce doctor），再运行。", "Check disk and permissions (mingce doctor); run it again.")


def explain_os_error(error: OSError) -> tuple[str, str]:
    """The same for a file that cannot be read or written."""
    where, why = error.filename or "", error.strerror or type(error).__name__
    what = say(f"读写失败：{where} {why}", f"Cannot read or write: {where} {why}")
    return what, say(*_OF_FILES.get(error.errno or 0, _OF_DISK))


def explain_code(code: str, detail: str, params: Mapping[str, object]) -> tuple[str, str]:
    """The same for an error that was written down, such as an alarm."""
    return words.explain_code(code, detail, params, chosen())


def exit_code(error: MingceError) -> int:
    """See scripts.cli.main."""
    if error.code in GUARDS:
        return 4
    if error.code in TEMPORARY:
        return 5
    if error.code in WAITING:
        return 7
    if isinstance(error, VerificationError):
        return 6
    return 3 if isinstance(error, InputError) or error.code == "exchange_worker_died" else 1
