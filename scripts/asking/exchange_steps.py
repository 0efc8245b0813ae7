"""The steps that the commands of ``mingce exchange`` share."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

import typer

from api.exchange_message import MAX_OVERHEAD, SESSION_BYTES, decode_answer
from keys.identity import PublicIdentity
from matcher.exchange import STORE_SECRET, ExchangeList, PendingExchange, common_columns, read_exchange_list
from matcher.exports import write_export
from matcher.rejects import write_rejects
from psi.errors import InputError
from psi.exchange import DEFAULT_LIMITS, Intersection, message_bytes
from scripts.home import Home
from scripts.language import say
from scripts.output import notice, print_result, progress_bars

MAX_FILE_BYTES = MAX_OVERHEAD + 2 * message_bytes(DEFAULT_LIMITS.max_items)


@contextmanager
def working(zh: str, en: str, *, quiet: bool) -> Iterator[None]:
    """The library does each list in one call: there is no progress to show, only that it works."""
    with progress_bars(quiet=quiet) as steps:
        steps.begin(say(zh, en))
        yield


def listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot listen there: {error}", host=host, port=port) from None


def raw_session(asked: bytes) -> str:
    """Bare messages carry no session: the request itself names it."""
    return hashlib.sha256(asked).hexdigest()[: 2 * SESSION_BYTES]


def session_of(url: str) -> str:
    session = url.rstrip("/").rpartition("/")[2]
    if not re.fullmatch(r"[0-9a-f]{32}", session):
        raise InputError("that is no session's address")
    return session


def read_list(path: Path, rejects: Path | None) -> ExchangeList:
    listed = read_exchange_list(path)
    if listed.rejects:
        count = len(listed.rejects)
        notice(say(f"退回 {count:,} 行（--rejects 可列出）", f"{count:,} rows were refused (--rejects lists them)"))
    if rejects is not None:
        write_rejects(rejects, listed.rejects)
    return listed


def open_answer(home: Home, pending: PendingExchange, encoded: bytes) -> Sequence[bytes]:
    message = decode_answer(
        encoded,
        sender=PublicIdentity.from_json(pending.peer),
        recipient=home.open_keys().get_public_identity(),
        session=pending.session,
        request_digest=pending.request_digest,
    )
    return message.parts


def write_result(found: Intersection, pending: PendingExchange, out: Path, *, as_json: bool) -> None:
    columns = common_columns(pending.table, found.positions)
    try:
        write_export(out, columns, format=result_format(out), id_columns=("证件号码",))
    except OSError as error:
        raise InputError(f"the result cannot be written: {error.strerror}", file=str(out)) from None
    asked, common = len(pending.table), len(found.positions)
    result = {
        "file": str(out), "session": pending.session, "numbers": asked, "common": common,
        "expected_false_matches": found.expected_false_matches,
    }  # fmt: skip
    lines = [
        say(f"共有 {common:,} 个（询问 {asked:,} 个）→ {out}", f"{common:,} in common (of {asked:,} asked) → {out}")
    ]
    print_result(result, lines, as_json=as_json)


def result_format(out: Path) -> Literal["xlsx", "csv", "parquet"]:
    suffix = out.suffix.lower().lstrip(".")
    if suffix not in ("xlsx", "csv", "parquet"):
        raise typer.BadParameter("a name ending in .xlsx, .csv or .parquet", param_hint="--out")
    return cast(Literal["xlsx", "csv", "parquet"], suffix)


def read_bounded(path: Path) -> bytes:
    """A file from the other side, if it is no longer than any honest one."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InputError("no such file", file=str(path)) from None
    if len(content) > MAX_FILE_BYTES:
        raise InputError("the file is longer than any exchange message", file=str(path), limit=MAX_FILE_BYTES)
    return content


def needed(path: Path | None, name: str) -> Path:
    if path is None:
        raise typer.BadParameter(f"{name} is needed unless --raw is given")
    return path


def state_secret(home: Home) -> bytes:
    return home.open_keys().get_store_secret(STORE_SECRET)


def dry_run_mark(dry_run: bool) -> str:
    return say("演练：", "dry run: ") if dry_run else ""
