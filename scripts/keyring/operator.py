"""``mingce operator``: the persons who may decide for a party, two at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, cast

import typer

from keys.files import write_atomic
from keys.identity import PublicIdentity, readable_fingerprint
from keys.operators import ROLES, Operator, Role, create_operator_key, read_operator_key
from scripts.home import ConfigOption, JsonOption, open_any_home, read_identity
from scripts.keyring.signing import OperatorOption, PassphraseFileOption, open_operator, read_passphrase
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result, print_table

app = typer.Typer(no_args_is_help=True, help="经办人与复核人。 The persons who decide, two at a time.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="the person's name")],
    out: Annotated[Path, typer.Option(help="the key file; the person keeps it and its passphrase")],
    passphrase_file: PassphraseFileOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a person's key, wrapped under a passphrase of 12 characters or more, and its public half beside it.

    Example: mingce operator create 张三 --out zhang.operator
    """
    public_file = out.with_name(f"{out.name}.identity.json")
    for path in (out, public_file):
        if path.exists():
            raise Refused(f"{path} 已存在，不会覆盖", f"{path} exists; it is never overwritten")
    key = create_operator_key(name, read_passphrase(passphrase_file, confirm=True), os.urandom)
    public = read_operator_key(key)
    write_atomic(out, key)
    write_atomic(public_file, public.to_json())
    print_result(
        {"key": str(out), "identity": str(public_file), "fingerprint": public.fingerprint},
        [
            say(
                f"密钥 {out} 由本人保管；把 {public_file} 交去登记。",
                f"Keep {out} to yourself; hand in {public_file} for registration.",
            ),
            readable_fingerprint(public.fingerprint),
        ],
        as_json=json_,
    )


@app.command()
def register(
    identity: Annotated[Path, typer.Argument(help="the person's public identity (….identity.json)")],
    role: Annotated[list[str], typer.Option("--role", help="propose or approve; repeat; else both")] = [],  # noqa: B006
    operator: Annotated[
        Path | None, typer.Option("--operator", help="your key file; needed once two operators are active")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Register a person. From the third on, two operators run this command, each with their own key.

    Example: mingce operator register wang.operator.identity.json --operator zhang.operator
    """
    person = read_identity(identity)
    signer = None if operator is None else open_operator(operator, passphrase_file)
    operators = open_any_home(config).open_keys().operators
    registered = operators.register(person, cast("list[Role]", role) or ROLES, signer=signer)
    _print_decision(person, registered, say("已登记", "registered"), as_json=json_)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="the person's name")],
    operator: OperatorOption,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Revoke a person's key for good. Two operators run this command, each with their own key.

    Example: mingce operator revoke 王五 --operator zhang.operator
    """
    operators = open_any_home(config).open_keys().operators
    person = operators.get_by_name(name)
    revoked = operators.revoke(person.fingerprint, signer=open_operator(operator, passphrase_file))
    _print_decision(person.identity, revoked, say("已撤销", "revoked"), as_json=json_)


@app.command("list")
def list_(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Everybody registered here, revoked ones too.

    Example: mingce operator list
    """
    found = open_any_home(config).open_keys().operators.list_all()
    rows = [
        {
            "name": one.name,
            "roles": one.roles,
            "state": one.state,
            "fingerprint": one.fingerprint,
            "registered_at": one.registered_at,
            "revoked_at": one.revoked_at,
        }
        for one in found
    ]
    if json_:
        print_result({"operators": rows}, [], as_json=True)
        return
    print_table(
        say("经办人", "Operators"),
        [say("姓名", "name"), say("角色", "roles"), say("状态", "state"), say("指纹", "fingerprint")],
        [[one.name, "+".join(one.roles), one.state, f"{one.fingerprint[:16]}…"] for one in found],
    )


def _print_decision(person: PublicIdentity, done: Operator | None, word: str, *, as_json: bool) -> None:
    waiting = say(
        f"{person.name}：还差一人签名；请另一位经办人用自己的密钥运行同一命令。",
        f"{person.name}: one signature is missing; another operator runs the same command with their own key.",
    )
    lines = [waiting] if done is None else [f"{person.name} {word}  {readable_fingerprint(person.fingerprint)}"]
    state = "waiting" if done is None else done.state
    print_result({"name": person.name, "fingerprint": person.fingerprint, "state": state}, lines, as_json=as_json)
