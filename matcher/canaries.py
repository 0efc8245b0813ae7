"""The file by which a province tells a bureau which households are canaries (matcher.province.canaries)."""

from __future__ import annotations

from dataclasses import dataclass

from keys.envelope import open_envelope
from keys.epochs import check_name
from keys.identity import Identity, PublicIdentity
from keys.strictjson import parse_object, require_text
from psi.errors import InputError, VerificationError

PAYLOAD_TYPE = "application/vnd.mingce.canaries+json"
MAX_BYTES = 8 * 1024 * 1024


class CanariesInvalid(VerificationError):
    """A file of canaries is not what the province wrote for this bureau."""

    code = "canaries_invalid"


@dataclass(frozen=True, repr=False)
class CanaryList:
    """The household numbers of a dataset's canaries in a bureau's counties."""

    dataset: str
    households: tuple[str, ...]


def open_canaries(content: bytes, bureau: Identity, province: PublicIdentity) -> CanaryList:
    """Raises CanariesInvalid, or the envelope's and the seal's VerificationError kinds."""
    payload = open_envelope(bureau.unseal(content), PAYLOAD_TYPE, province)
    try:
        document = parse_object(payload, ("bureau", "dataset", "households"), max_bytes=MAX_BYTES)
        dataset, listed = require_text(document["dataset"]), document["households"]
        check_name(dataset, "dataset")
        if not isinstance(listed, list):
            raise CanariesInvalid("not a file of canaries")
        households = tuple(require_text(household) for household in listed)
    except InputError:
        raise CanariesInvalid("not a file of canaries") from None
    if document["bureau"] != bureau.public.fingerprint:
        raise CanariesInvalid("the canaries are for another bureau")
    return CanaryList(dataset, households)
