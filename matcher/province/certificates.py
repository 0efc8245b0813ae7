"""Which TLS client keys belong to which party: the connection's identity beside the request's.

A certificate is known by its public key (SHA-256 of its SubjectPublicKeyInfo, RFC 7469 section 2.4), so
that one renewed under the same key needs no new registration, and one issued to somebody else under a
party's name is worth nothing here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from matcher.province.records import PartyConflict, UnknownRecord
from matcher.province.store import ProvinceStore
from psi.errors import InputError

_HASH = re.compile(r"[0-9a-f]{64}")


class CertificateInvalid(InputError):
    """A file or header is no X.509 certificate that can be read."""

    code = "certificate_invalid"


@dataclass(frozen=True)
class BoundCertificate:
    """``spki_sha256`` is lower-case hex; ``party`` a fingerprint."""

    spki_sha256: str
    party: str
    bound_at: str


def certificate_key_hash(certificate: bytes) -> str:
    """Lower-case hex SHA-256 of the public key (SubjectPublicKeyInfo) of a certificate in PEM or DER.

    Raises CertificateInvalid.
    """
    try:
        if certificate.lstrip().startswith(b"-----BEGIN"):
            parsed = x509.load_pem_x509_certificate(certificate)
        else:
            parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception as error:  # a stranger's bytes in a parser: whatever it raises means the same
        raise CertificateInvalid(f"not an X.509 certificate ({type(error).__name__})") from None
    return hashlib.sha256(key).hexdigest()


class ClientCertificates:
    """Part of the ledger: see :attr:`matcher.province.ledger.Ledger.certificates`."""

    def __init__(self, store: ProvinceStore) -> None:
        self._store = store

    def bind(self, party: str, spki_sha256: str, *, actor: str = "province") -> None:
        """From now on ``party`` (its fingerprint) comes with this key, or with another one bound to it.

        Again it changes nothing. Raises UnknownRecord, InputError; PartyConflict if the key is another party's.
        """
        if not _HASH.fullmatch(spki_sha256):
            raise InputError("a certificate's key is named by 64 hex digits")
        with self._store.writing() as db:
            if self._store.find_row("SELECT 1 FROM party WHERE fingerprint = ?", party) is None:
                raise UnknownRecord("no such party")
            known = self._store.find_row("SELECT party FROM client_certificate WHERE spki_sha256 = ?", spki_sha256)
            if known is None:
                db.execute("INSERT INTO client_certificate VALUES (?, ?, ?)", (spki_sha256, party, self._store.now()))
                self._store.audit(actor, "bind_certificate", party, spki_sha256=spki_sha256)
            elif known["party"] != party:
                raise PartyConflict("the certificate's key is bound to another party")

    def unbind(self, spki_sha256: str, *, actor: str = "province") -> None:
        """Raises UnknownRecord."""
        with self._store.writing() as db:
            known = self._store.find_row("SELECT party FROM client_certificate WHERE spki_sha256 = ?", spki_sha256)
            if known is None:
                raise UnknownRecord("no such certificate")
            db.execute("DELETE FROM client_certificate WHERE spki_sha256 = ?", (spki_sha256,))
            self._store.audit(actor, "unbind_certificate", known["party"], spki_sha256=spki_sha256)

    def bound_keys(self, party: str) -> frozenset[str]:
        """The ``spki_sha256`` that this party (its fingerprint) may come with; asked with every request."""
        with self._store.reading() as db:
            rows = db.conn.execute("SELECT spki_sha256 FROM client_certificate WHERE party = ?", (party,)).fetchall()
        return frozenset(key for (key,) in rows)

    def list_all(self) -> list[BoundCertificate]:
        """All that are bound, the oldest first."""
        with self._store.reading() as db:
            rows = db.query("SELECT spki_sha256, party, bound_at FROM client_certificate ORDER BY bound_at, 1")
            return [BoundCertificate(**row) for row in rows]
