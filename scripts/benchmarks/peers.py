"""The same work by others: openmined-psi on the same lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import private_set_intersection.python as openmined

from psi.oprf import MODE_VOPRF, BlindedBatch, SecretKey, blind_evaluate, evaluate
from scripts.benchmarks.kernel import ITEM_BYTES, SEED, made_up_items
from scripts.benchmarks.measure import Timing, measure

FALSE_POSITIVE_RATE = 1e-6
STEPS = {
    "set-up": "sender encodes its list",
    "request": "receiver blinds its items",
    "response": "sender evaluates the request",
    "finish": "receiver learns the result",
}


@dataclass(frozen=True)
class Comparison:
    """Seconds of each step on the same two lists; openmined-psi runs on one core whatever there is.

    Ours also proves (response) and verifies (finish) that one key was used; openmined-psi does neither.
    ``ratio`` is openmined-psi's time over ours.
    """

    sender_items: int
    receiver_items: int
    common: int
    openmined_s: dict[str, float]
    one_core_s: dict[str, float]
    all_cores_s: dict[str, float]
    ratio_one_core: dict[str, float]
    ratio_all_cores: dict[str, float]


class _Openmined:
    def __init__(self, sender: bytes, receiver: bytes) -> None:
        self._sender, self._receiver = _texts(sender), _texts(receiver)
        self._server = openmined.server.CreateWithNewKey(True)
        self._client = openmined.client.CreateWithNewKey(True)

    def set_up(self) -> None:
        structure = openmined.DataStructure.RAW
        self._setup = self._server.CreateSetupMessage(FALSE_POSITIVE_RATE, len(self._receiver), self._sender, structure)

    def request(self) -> None:
        self._request = self._client.CreateRequest(self._receiver)

    def response(self) -> None:
        self._response = self._server.ProcessRequest(self._request)

    def finish(self) -> None:
        self.common = len(self._client.GetIntersection(self._setup, self._response))


class _Ours:
    """PRF outputs are compared as they are: labels, and the tags they need, are not part of openmined-psi's job."""

    def __init__(self, sender: bytes, receiver: bytes, threads: int) -> None:
        self._sender, self._receiver, self._threads = sender, receiver, threads
        self._key = SecretKey.generate()

    def set_up(self) -> None:
        outputs = evaluate(MODE_VOPRF, self._key, self._sender, ITEM_BYTES, threads=self._threads)
        self._listed = {outputs[at : at + 64] for at in range(0, len(outputs), 64)}

    def request(self) -> None:
        self._batch = BlindedBatch(MODE_VOPRF, self._receiver, ITEM_BYTES, seed=SEED, threads=self._threads)

    def response(self) -> None:
        elements = self._batch.blinded_elements
        self._evaluated, self._proof = blind_evaluate(MODE_VOPRF, self._key, elements, threads=self._threads)

    def finish(self) -> None:
        outputs = self._batch.finalize(self._evaluated, self._proof, self._key.public_key, threads=self._threads)
        self.common = sum(outputs[at : at + 64] in self._listed for at in range(0, len(outputs), 64))


def compare_with_openmined(sender_items: int, receiver_items: int, runs: int) -> Comparison:
    """Half of the receiver's items are on the sender's list; both must find exactly those. At most one batch."""
    sender = made_up_items(sender_items)
    receiver = made_up_items(receiver_items, start=sender_items - receiver_items // 2)
    sides: dict[str, _Openmined | _Ours] = {
        "openmined": _Openmined(sender, receiver),
        "one": _Ours(sender, receiver, threads=1),
        "all": _Ours(sender, receiver, threads=0),
    }
    times: dict[str, dict[str, Timing]] = {}
    for step in STEPS:
        works = {name: _method(side, step) for name, side in sides.items()}
        times[step] = measure(works, runs)
    found = {side.common for side in sides.values()}
    if found != {receiver_items // 2}:
        raise AssertionError(f"the sides do not agree: {found}")
    seconds = {name: {step: round(times[step][name].wall_s, 4) for step in STEPS} for name in sides}
    for side in seconds.values():
        side["all steps"] = round(sum(side.values()), 4)
    return Comparison(
        sender_items,
        receiver_items,
        receiver_items // 2,
        seconds["openmined"],
        seconds["one"],
        seconds["all"],
        _ratios(seconds["openmined"], seconds["one"]),
        _ratios(seconds["openmined"], seconds["all"]),
    )


def _method(side: _Openmined | _Ours, step: str) -> Callable[[], None]:
    return {"set-up": side.set_up, "request": side.request, "response": side.response, "finish": side.finish}[step]


def _ratios(theirs: dict[str, float], ours: dict[str, float]) -> dict[str, float]:
    return {step: round(theirs[step] / ours[step], 2) for step in theirs}


def _texts(items: bytes) -> list[str]:
    text = items.decode("ascii")
    return [text[at : at + ITEM_BYTES] for at in range(0, len(text), ITEM_BYTES)]
