"""``mingce exchange``: two organisations learn their common ID numbers once, without labels."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from api.exchange import ExchangeSession, serve_exchange
from api.exchange_client import fetch_answer
from api.exchange_message import (
    SESSION_BYTES,
    ExchangeMessage,
    claimed_session,
    decode_request,
    encode_message,
    message_digest,
)
from keys.files import make_folder, write_atomic
from matcher.exchange import (
    PendingExchange,
    forget_pending,
    load_pending,
    save_pending,
)
from psi.exchange import (
    DEFAULT_LIMITS,
    Requester,
    Responder,
    check_length,
    count_elements,
)
from scripts.asking.exchange_steps import (
    MAX_FILE_BYTES,
    dry_run_mark,
    listen,
    needed,
    open_answer,
    raw_session,
    read_bounded,
    read_list,
    result_format,
    session_of,
    state_secret,
    working,
    write_result,
)
from scripts.home import ConfigOption, DryRunOption, JsonOption, open_any_home, read_identity
from scripts.language import say
from scripts.output import notice, print_result

app = typer.Typer(
    no_args_is_help=True, help="一次性求交：双方只得知共有的证件号码。 Common ID numbers of two lists, once."
)

REQUEST_FILE, SETUP_FILE, RESPONSE_FILE = "request.pb", "setup.pb", "response.pb"

_FILE = {"exists": True, "dir_okay": False, "readable": True}
ListArgument = Annotated[Path, typer.Argument(help="the list of ID numbers: CSV, XLSX or Parquet", **_FILE)]
RejectsOption = Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")]
ResultOption = Annotated[Path, typer.Option("--out", help="the common rows: .xlsx, .csv or .parquet")]
RawOption = Annotated[
    Path | None,
    typer.Option("--raw", help="a folder of bare openmined-psi messages instead of a signed file", file_okay=False),
]
LimitOption = Annotated[
    int,
    typer.Option(
        "--limit", min=1, max=DEFAULT_LIMITS.max_items, help="the most numbers the other side may ask, as agreed"
    ),
]


@app.command()
def request(
    numbers: ListArgument,
    to: Annotated[Path | None, typer.Option(help="the responder's identity.json", **_FILE)] = None,
    out: Annotated[Path, typer.Option(help="the request to hand over")] = Path("request.mcx"),
    raw: RawOption = None,
    rejects: RejectsOption = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """First step, by the side that is to learn the common numbers: write a request.

    The responder learns how many numbers it holds, and nothing else.

    Example: mingce exchange request 名单.xlsx --to bureau.identity.json --out 请求.mcx
    """
    home = open_any_home(config)
    listed = read_list(numbers, rejects)
    peer = None if raw is not None else read_identity(needed(to, "--to"))
    session = ""
    if not dry_run:
        with working("加密本方号码", "encrypt own numbers", quiet=json_):
            requester, asked = Requester.create(listed.items)
        out = make_folder(raw) / REQUEST_FILE if raw is not None else out
        if peer is None:
            session, encoded = raw_session(asked), asked
        else:
            session = secrets.token_hex(SESSION_BYTES)
            message = ExchangeMessage("request", session, "", (asked,))
            encoded = encode_message(message, home.open_keys().get_identity(), peer, home.clock.now())
        document = "" if peer is None else peer.to_json().decode()
        pending = PendingExchange(session, requester.expose_key(), message_digest(encoded), document, listed.table)
        save_pending(home.path, state_secret(home), pending)  # before the request: no answer without a state
        write_atomic(out, encoded)
    result = {
        "file": str(out),
        "session": session,
        "numbers": len(listed),
        "rejected": len(listed.rejects),
        "dry_run": dry_run,
    }
    line = say(f"请求含 {len(listed):,} 个号码 → {out}", f"A request for {len(listed):,} numbers → {out}")
    print_result(result, [dry_run_mark(dry_run) + line], as_json=json_)


@app.command()
def respond(
    numbers: ListArgument,
    limit: LimitOption,
    request: Annotated[Path | None, typer.Argument(help="the request (.mcx)", **_FILE)] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="the requester's identity.json", **_FILE)] = None,
    out: Annotated[Path, typer.Option(help="the answer to hand back")] = Path("answer.mcx"),
    raw: RawOption = None,
    rejects: RejectsOption = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Second step, by the other side: answer a request. The session's key is forgotten at once.

    The requester learns how many numbers this list holds, and which of its own are on it.

    Example: mingce exchange respond 名单.csv 请求.mcx --from bank.identity.json --limit 50000 --out 答复.mcx
    """
    home = open_any_home(config)
    session, digest = "", ""
    if raw is not None:
        asked = read_bounded(raw / REQUEST_FILE)
    else:
        peer = read_identity(needed(from_, "--from"))
        encoded = read_bounded(needed(request, "REQUEST"))
        message = decode_request(encoded, sender=peer, recipient=home.open_keys().get_public_identity())
        session, digest, (asked,) = message.session, message_digest(encoded), message.parts
    check_length(asked, limit)
    listed = read_list(numbers, rejects)
    if not dry_run:
        with working("加密双方号码", "encrypt both sides' numbers", quiet=json_):
            responder = Responder(listed.items, max_requested=limit)
            parts = (responder.setup, responder.respond(asked))
        if raw is not None:
            for name, part in zip((SETUP_FILE, RESPONSE_FILE), parts, strict=True):
                write_atomic(raw / name, part)
        else:
            answer = ExchangeMessage("answer", session, digest, parts)
            write_atomic(out, encode_message(answer, home.open_keys().get_identity(), peer, home.clock.now()))
    requested = count_elements(asked)
    target = raw if raw is not None else out
    result = {
        "file": str(target), "session": session, "requested": requested, "limit": limit, "numbers": len(listed),
        "rejected": len(listed.rejects), "dry_run": dry_run,
    }  # fmt: skip
    line = say(
        f"对方询问 {requested:,} 个号码（上限 {limit:,}），本方名单 {len(listed):,} 个 → {target}",
        f"Asked for {requested:,} numbers (limit {limit:,}), own list {len(listed):,} → {target}",
    )
    print_result(result, [dry_run_mark(dry_run) + line], as_json=json_)


@app.command()
def finish(
    out: ResultOption,
    answer: Annotated[Path | None, typer.Argument(help="the answer (.mcx)", **_FILE)] = None,
    raw: RawOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Third step, by the requester: read the answer and write the common rows. The session's key is then forgotten.

    Example: mingce exchange finish 答复.mcx --out 共有名单.xlsx
    """
    result_format(out)
    home = open_any_home(config)
    if raw is not None:
        asked = read_bounded(raw / REQUEST_FILE)
        pending = load_pending(home.path, state_secret(home), raw_session(asked))
        setup, response = read_bounded(raw / SETUP_FILE), read_bounded(raw / RESPONSE_FILE)
    else:
        encoded = read_bounded(needed(answer, "ANSWER"))
        pending = load_pending(home.path, state_secret(home), claimed_session(encoded))
        setup, response = open_answer(home, pending, encoded)
    with working("比对", "compare", quiet=json_):
        found = Requester(pending.key, len(pending.table)).intersect(setup, response)
    write_result(found, pending, out, as_json=json_)
    forget_pending(home.path, pending.session)


@app.command()
def serve(
    numbers: ListArgument,
    limit: LimitOption,
    from_: Annotated[Path, typer.Option("--from", help="the requester's identity.json", **_FILE)],
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one")] = 0,
    minutes: Annotated[float, typer.Option(min=0.01, max=1440, help="how long to wait for the requester")] = 60,
    linger: Annotated[
        float, typer.Option(min=0, help="seconds to stay after the answer was fetched, in case it was lost")
    ] = 30,
    rejects: RejectsOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Instead of files: answer one requester over HTTP, once, and end.

    Prints the session's address on standard error; give it to the requester by telephone or message.

    Example: mingce exchange serve 名单.csv --from bank.identity.json --limit 50000 --host 10.1.2.3 --port 8500
    """
    home = open_any_home(config)
    peer = read_identity(from_)
    listed = read_list(numbers, rejects)
    identity = home.open_keys().get_identity()
    with listen(host, port) as listener:
        with working("加密本方号码", "encrypt own numbers", quiet=json_):
            responder = Responder(listed.items, max_requested=limit)
        session = ExchangeSession(responder, identity, peer, home.clock)
        url = f"http://{host}:{listener.getsockname()[1]}{session.path}"
        notice(say(f"会话地址：{url}", f"Session address: {url}"))
        serve_exchange(session, listener, time_limit_s=60 * minutes, linger_s=linger)
    result = {"session": session.session, "requested": session.requested, "limit": limit, "numbers": len(listed)}
    line = say(f"已答复：对方询问 {session.requested:,} 个号码", f"Answered: {session.requested:,} numbers were asked")
    print_result(result, [line], as_json=json_)


@app.command()
def fetch(
    numbers: ListArgument,
    url: Annotated[str, typer.Argument(help="the session's address, from the responder")],
    to: Annotated[Path, typer.Option(help="the responder's identity.json", **_FILE)],
    out: ResultOption,
    minutes: Annotated[float, typer.Option(min=0.01, max=1440, help="how long to wait for the answer")] = 60,
    ca_file: Annotated[Path | None, typer.Option(help="authorities for an https address", **_FILE)] = None,
    rejects: RejectsOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Instead of files: ask a responder that serves, and write the common rows.

    Example: mingce exchange fetch 名单.xlsx http://10.1.2.3:8500/v1/exchange/… --to b.identity.json --out 共有.xlsx
    """
    result_format(out)
    home = open_any_home(config)
    peer = read_identity(to)
    listed = read_list(numbers, rejects)
    session = session_of(url)
    with working("加密本方号码", "encrypt own numbers", quiet=json_):
        requester, asked = Requester.create(listed.items)
    message = ExchangeMessage("request", session, "", (asked,))
    encoded = encode_message(message, home.open_keys().get_identity(), peer, home.clock.now())
    document = peer.to_json().decode()
    pending = PendingExchange(session, requester.expose_key(), message_digest(encoded), document, listed.table)
    with working("等待对方，比对", "wait for the other side, compare", quiet=json_):
        answer = fetch_answer(url, encoded, max_answer_bytes=MAX_FILE_BYTES, wait_s=60 * minutes, ca_file=ca_file)
        setup, response = open_answer(home, pending, answer)
        found = requester.intersect(setup, response)
    write_result(found, pending, out, as_json=json_)
