"""Is a signed request's sender also the one whose certificate the connection was made with?

The certificate comes from TLS itself, or from the reverse proxy's header where the settings say that a proxy
ends TLS (never otherwise: without a proxy the header is not looked at). Its chain and dates were checked there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from matcher.province.certificates import CertificateInvalid, ClientCertificates, certificate_key_hash
from psi.errors import VerificationError

PROXY_HEADER = b"mingce-client-certificate"  # PEM, URL-encoded: nginx's $ssl_client_escaped_cert
MAX_HEADER_BYTES = 16 * 1024

FindCertificate = Callable[[Scope], bytes | None]


class BadCertificate(VerificationError):
    """The request's signer did not come with a client certificate that is bound to it."""

    code = "bad_certificate"


class CertificateCheck:
    def __init__(self, bound: ClientCertificates, find: FindCertificate, *, required: bool) -> None:
        self._bound = bound
        self._find = find
        self._required = required

    def __call__(self, party: str, scope: Scope) -> None:
        """Raises BadCertificate unless the caller's certificate is the party's; a party that has none bound
        may come without, unless certificates are required of all."""
        bound = self._bound.bound_keys(party)
        if not bound and not self._required:
            return
        certificate = self._find(scope)
        if certificate is None:
            raise BadCertificate("no client certificate")
        try:
            presented = _key_hash(certificate)
        except CertificateInvalid:
            raise BadCertificate("the client certificate cannot be read") from None
        if presented not in bound:
            raise BadCertificate("the client certificate is not bound to the signer")


def certificate_of_connection(scope: Scope) -> bytes | None:
    """DER, as TLS gave it (api/connections.py)."""
    certificate: bytes | None = scope["state"].get("client_certificate")
    return certificate


def certificate_of_proxy(scope: Scope) -> bytes | None:
    """PEM, from the one header line that the proxy sets. Raises BadCertificate if it stands twice."""
    values = [value for name, value in scope["headers"] if name == PROXY_HEADER]
    if len(values) > 1 or any(len(value) > MAX_HEADER_BYTES for value in values):
        raise BadCertificate("not one header of the proxy")
    return unquote_to_bytes(values[0]) if values and values[0] else None


_key_hash = lru_cache(maxsize=256)(certificate_key_hash)
