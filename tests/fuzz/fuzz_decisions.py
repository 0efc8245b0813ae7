"""What two persons sign and what auditors exchange: warrants, declarations, records, draws, openings, keys."""

from __future__ import annotations

import base64
import datetime
import json
from functools import cache
from urllib.parse import quote, unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fuzz_documents import BUREAU, PROVINCE
from fuzz_target import Target

from keys.clock import SettableClock
from keys.destruction import PAYLOAD_TYPE as DESTRUCTION_TYPE
from keys.destruction import open_destruction
from keys.envelope import add_signature, open_countersigned, sign_envelope
from keys.identity import Identity
from keys.operators import create_operator_key, read_operator_key
from keys.wrap import PassphraseCost
from matcher import audit_draw, audit_opening, canaries
from matcher.audit_draw import Draw, sign_draw
from matcher.audit_opening import ListReference, OpenedPosition, Opening, seal_opening, unseal_opening
from matcher.bank import warrants
from matcher.bank.warrants import Terms
from matcher.exchange_record import ExchangeRecord, RecordedBatch, decode_record, encode_record
from matcher.province.certificates import certificate_key_hash
from matcher.province.declaration import Declaration

BANK = Identity("演示银行", "bank", bytes([1]) * 32)
AUDITOR = Identity("演示审计", "bureau", bytes([9]) * 32)
OPERATORS = [Identity(name, "operator", bytes([seed]) * 32) for name, seed in (("张三", 11), ("李四", 12))]
NOW = SettableClock().now()
DIGEST = "ab" * 32


def payload_of(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


def read_countersigned(data: bytes) -> None:
    known = {operator.public.fingerprint: operator.public for operator in OPERATORS}
    open_countersigned(data, "text/plain", known.get)


def countersigned_seeds() -> list[bytes]:
    once = sign_envelope(OPERATORS[0], "text/plain", b"990000199001011234")
    return [add_signature(once, OPERATORS[1]), once]


def read_operator(data: bytes) -> None:
    read_operator_key(data)


def operator_seeds() -> list[bytes]:
    return [create_operator_key("张三", "a long passphrase", lambda n: bytes([5]) * n, cost=PassphraseCost(1, 8))]


def read_warrant(data: bytes) -> None:
    warrants._decode(data)


def warrant_seeds() -> list[bytes]:
    later = NOW + datetime.timedelta(days=300)
    terms = Terms("匹配", "单独同意", "演示-01", "base", ("330921", "330922"), 1_000, NOW, later)
    return [warrants._encode(terms, BANK.public.fingerprint, "2026-01-05T09:00:00Z")]


def read_declaration(data: bytes) -> None:
    Declaration.decode(data)


def declaration_seeds() -> list[bytes]:
    common = {"province": DIGEST, "entity": "演示银行", "dataset": "base", "epoch": "2026", "reason": "年度申报"}
    return [Declaration.make(id="12" * 16, customers=50_000, new_a_night=100, replaces=None, **common).encode()]


def record() -> ExchangeRecord:
    batch = RecordedBatch("12" * 16, 256, DIGEST, DIGEST)
    return ExchangeRecord(BANK.public.fingerprint, "34" * 16, DIGEST, "base", "2026", 1, DIGEST, NOW, (batch,))


def read_draw(data: bytes) -> None:
    """A draw that its own auditor signs; huge ones must not be drawn before somebody looks."""
    audit_draw._parse(data)
    audit_draw.open_draw(sign_envelope(AUDITOR, audit_draw.DRAW_TYPE, data))


def draw_seeds() -> list[bytes]:
    draw = Draw(AUDITOR.public, BANK.public.fingerprint, DIGEST, 256, 20, bytes(32), NOW)
    return [payload_of(sign_draw(draw, AUDITOR))]


@cache
def opening_parts() -> tuple[bytes, bytes]:
    """(header, bodies) of a sound opening."""
    opening = Opening(
        bank=BANK.public.fingerprint,
        auditor=AUDITOR.public.fingerprint,
        draw_sha256=DIGEST,
        record_sha256=DIGEST,
        blinding="additive",
        approved_by=("张三", "李四"),
        lists={0: ListReference("customers.csv", DIGEST)},
        requests={0: 60 + 64},
        positions=(
            OpenedPosition(0, "customer", bytes(32), b"990000199001011234", 2),
            OpenedPosition(1, "padding", bytes(32), None, None),
        ),
    )
    plain = AUDITOR.unseal(seal_opening(opening, {0: bytes(124)}, BANK, AUDITOR.public)[5:])
    end = 4 + int.from_bytes(plain[:4], "big")
    return payload_of(plain[4:end]), plain[end:]


def read_opening(data: bytes) -> None:
    """A header that the bank signs for this auditor."""
    envelope = sign_envelope(BANK, audit_opening.OPENING_TYPE, data)
    plain = len(envelope).to_bytes(4, "big") + envelope + opening_parts()[1]
    unseal_opening(b"MCAO\x01" + AUDITOR.public.seal(plain), AUDITOR, BANK.public)


def read_destruction(data: bytes) -> None:
    open_destruction(sign_envelope(PROVINCE, DESTRUCTION_TYPE, data), PROVINCE.public)


def destruction_seeds() -> list[bytes]:
    texts = {"format": "mingce-destruction/1", "dataset": "base", "epoch": "2025", "public_key": DIGEST}
    texts |= {"fingerprint": DIGEST, "actor": "演示员", "reason": "到期", "destroyed_at": "2026-01-05T09:00:00Z"}
    return [json.dumps({**texts, "removed": ["editions/base/2025/1/private"]}, ensure_ascii=False).encode()]


def read_canaries(data: bytes) -> None:
    sealed = BUREAU.public.seal(sign_envelope(PROVINCE, canaries.PAYLOAD_TYPE, data))
    canaries.open_canaries(sealed, BUREAU, PROVINCE.public)


def canary_seeds() -> list[bytes]:
    return [json.dumps({"bureau": BUREAU.public.fingerprint, "dataset": "base", "households": ["H1", "H2"]}).encode()]


def read_certificate(data: bytes) -> None:
    """As the proxy's header gives it."""
    certificate_key_hash(unquote_to_bytes(data))


def certificate_seeds() -> list[bytes]:
    key = ec.derive_private_key(7, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "演示银行")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(days=9))
    made = builder.sign(key, hashes.SHA256())
    forms = (serialization.Encoding.PEM, serialization.Encoding.DER)
    return [quote(made.public_bytes(form)).encode() for form in forms]


TARGETS = [
    Target("countersigned", "an envelope with several signatures", read_countersigned, countersigned_seeds),
    Target("operator_key", "an operator's key file", read_operator, operator_seeds),
    Target("warrant", "a warrant behind its signatures", read_warrant, warrant_seeds),
    Target("declaration", "a declaration behind its signatures", read_declaration, declaration_seeds),
    Target("exchange_record", "an exchange record that a bank signs", decode_record, lambda: [encode_record(record())]),
    Target("audit_draw", "an auditor's draw", read_draw, draw_seeds),
    Target("audit_opening", "an opening that a bank signs", read_opening, lambda: [opening_parts()[0]]),
    Target("destruction", "a destruction record that a province signs", read_destruction, destruction_seeds),
    Target("canaries", "a file of canaries that a province signs", read_canaries, canary_seeds),
    Target("certificate", "a client certificate in the proxy's header", read_certificate, certificate_seeds),
]
