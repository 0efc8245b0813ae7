"""``mingce shares``: a key among several persons, so that some of them together bring it back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keys.files import make_folder, write_atomic
from keys.shares import Share, ShareInvalid, combine_shares, split_secret
from scripts.home import JsonOption
from scripts.keyring.signing import read_file
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result

app = typer.Typer(no_args_is_help=True, help="密钥分存。 A key as shares, k of n.")


@app.command()
def split(
    secret: Annotated[Path, typer.Argument(help="a key file, such as secrets/kek or a backup key")],
    out: Annotated[Path, typer.Option(help="a folder for the share files")],
    threshold: Annotated[int, typer.Option("--threshold", "-k", help="so many of them give the key back")] = 3,
    shares: Annotated[int, typer.Option("--shares", "-n", help="so many are made")] = 5,
    label: Annotated[str | None, typer.Option(help="what it is, printed on every share; else the file's name")] = None,
    json_: JsonOption = False,
) -> None:
    """Make n shares of a key, of which any k bring it back and fewer say nothing. One for each person; print or keep.

    Example: mingce shares split province/secrets/kek --threshold 3 --shares 5 --out shares
    """
    made = split_secret(read_file(secret), threshold, shares, label or secret.name, os.urandom)
    files = [make_folder(out) / f"share-{share.set}-{share.number}.json" for share in made]
    for path, share in zip(files, made, strict=True):
        write_atomic(path, share.to_json())
    print_result(
        {"set": made[0].set, "threshold": threshold, "shares": shares, "files": [str(path) for path in files]},
        [
            *map(str, files),
            say(
                f"任意 {threshold} 份可恢复。每人一份，分开保管，然后删除这个文件夹。",
                f"Any {threshold} bring it back. Give one to each person, kept apart; then delete this folder.",
            ),
        ],
        as_json=json_,
    )


@app.command()
def combine(
    share: Annotated[list[Path], typer.Argument(help="share files, as many as their threshold says")],
    out: Annotated[Path, typer.Option(help="the key file to write; it must not be there")],
    json_: JsonOption = False,
) -> None:
    """Bring a key back from its shares.

    Example: mingce shares combine a.json b.json c.json --out province/secrets/kek
    """
    if out.exists():
        raise Refused(f"{out} 已存在，不会覆盖", f"{out} exists; it is never overwritten")
    found = [_read(path) for path in share]
    secret = combine_shares(found)
    make_folder(out.parent)
    write_atomic(out, secret)
    print_result(
        {"file": str(out), "label": found[0].label, "set": found[0].set},
        [say(f"已恢复 {found[0].label}：{out}", f"{found[0].label} is back: {out}")],
        as_json=json_,
    )


def _read(path: Path) -> Share:
    try:
        return Share.from_json(read_file(path))
    except ShareInvalid as error:
        raise ShareInvalid(error.detail, file=str(path)) from None
