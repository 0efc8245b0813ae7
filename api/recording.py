"""After a run: exchange records signed here, countersigned by the province, kept by both."""

from __future__ import annotations

import hashlib

from api.client import ProvinceClient
from api.refusals import ProvinceRefused, RecordDisputed
from api.retry import ProvinceUnavailable
from api.wire import EvaluateRequest, encode_request
from keys.identity import PublicIdentity
from matcher.bank.batches import PendingBatch
from matcher.bank.store import BankStore
from psi.errors import VerificationError
from psi.identifiers import ITEM_BYTES
from psi.oprf import MODE_VOPRF, BlindedBatch


def sign_records(store: BankStore, client: ProvinceClient) -> None:
    """Sign records for all that was sent and is in none yet; nothing leaves the bank."""

    def digest(fingerprint: str, batch: PendingBatch) -> str:
        seed = store.runs.get_seed(batch.run_id)
        body = encode_request(make_request(batch, store.batches.get_items(batch), seed, fingerprint)[1])
        return hashlib.sha256(body).hexdigest()

    store.records.sign_missing(client.identity, digest)


def hand_in_records(store: BankStore, client: ProvinceClient, province: PublicIdentity) -> None:
    """Have every record countersigned that is not yet. What the province cannot take now is handed in again later.

    Raises RecordDisputed (the province charged something else) and the errors of a false answer; each of
    them leaves an alarm, and comes after all other records were handed in.
    """
    failure: VerificationError | None = None
    for record in store.records.list_unsettled():
        try:
            answer = client.post_record(record.dataset, record.epoch, record.envelope)
            store.records.settle(record, answer, client.identity.public, province)
        except RecordDisputed as error:
            store.records.dispute(record, error)
            failure = failure or error
        except ProvinceUnavailable:
            break
        except ProvinceRefused:
            continue
        except VerificationError as error:
            store.alarms.sound(error, record.run_id)
            failure = failure or error
    if failure is not None:
        raise failure


def make_request(
    batch: PendingBatch, items: bytes, seed: bytes, fingerprint: str
) -> tuple[BlindedBatch, EvaluateRequest]:
    """A batch blinded, and its request. The blinds come from (seed, request id): the same batch is the same bytes."""
    request_id = bytes.fromhex(batch.request_id)
    blinded = BlindedBatch(MODE_VOPRF, items, ITEM_BYTES, seed=seed, context=request_id, pad_to=batch.padded)
    return blinded, EvaluateRequest(bytes.fromhex(fingerprint), request_id, blinded.blinded_elements)
