"""``mingce certificate``: which TLS client certificates belong to which party. docs/how-to/reverse-proxy.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matcher.province.certificates import certificate_key_hash
from matcher.province.ledger import Ledger
from scripts.home import ConfigOption, DryRunOption, JsonOption, actor, open_home
from scripts.language import say
from scripts.messages import require_file
from scripts.output import print_result
from scripts.sending.ledgers import open_ledger

app = typer.Typer(no_args_is_help=True, help="客户端证书。 TLS client certificates and whose they are.")

PartyArgument = Annotated[str, typer.Argument(help="the bank's or bureau's registered name")]
FileArgument = Annotated[Path, typer.Argument(help="the certificate, PEM or DER")]


@app.command()
def fingerprint(file: FileArgument, json_: JsonOption = False) -> None:
    """The SHA-256 of a certificate's public key, to be read out over the telephone. It stays when a certificate
    is renewed under the same key.

    Example: mingce certificate fingerprint client.crt
    """
    key = _key_hash(file)
    print_result({"spki_sha256": key}, [key], as_json=json_)


@app.command()
def bind(
    party: PartyArgument, file: FileArgument, config: ConfigOption = None, dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:  # fmt: skip
    """From now on a party is served only over connections made with this certificate's key, or another bound one.

    Example: mingce certificate bind 嵊泗农商银行 client.crt
    """
    ledger, key = _ledger(config), _key_hash(file)
    registered = ledger.get_party(party)
    if not dry_run:
        ledger.certificates.bind(registered.fingerprint, key, actor=actor())
    print_result(
        {"party": party, "spki_sha256": key, "dry_run": dry_run},
        [
            say(f"{party} 今后须用此证书连接：{key}", f"{party} must come with this certificate from now on: {key}"),
            say("请通过电话与对方核对。", "Compare it with them by telephone."),
        ],
        as_json=json_,
    )


@app.command()
def unbind(
    key: Annotated[str, typer.Argument(help="its 64 hex digits, as `certificate list` shows them")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Refuse a certificate's key from now on: it was lost or has been replaced.

    Example: mingce certificate unbind 3f…9a
    """
    _ledger(config).certificates.unbind(key, actor=actor())
    print_result({"spki_sha256": key}, [say("已解除。", "Unbound.")], as_json=json_)


@app.command("list")
def list_(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """All bound certificates.

    Example: mingce certificate list
    """
    ledger = _ledger(config)
    names = {party.fingerprint: party.name for party in ledger.list_parties()}
    bound = [
        {"party": names[certificate.party], "spki_sha256": certificate.spki_sha256, "bound_at": certificate.bound_at}
        for certificate in ledger.certificates.list_all()
    ]
    lines = [f"{entry['party']}  {entry['spki_sha256']}  {entry['bound_at']}" for entry in bound]
    print_result({"certificates": bound}, lines or [say("没有登记的证书。", "No certificate is bound.")], as_json=json_)


def _ledger(config: Path | None) -> Ledger:
    return open_ledger(open_home(config, "province"))


def _key_hash(file: Path) -> str:
    """Raises FileAbsent, CertificateInvalid."""
    return certificate_key_hash(require_file(file).read_bytes())
