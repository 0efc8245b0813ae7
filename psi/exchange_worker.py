"""The process in which openmined-psi runs: one step, then it ends.

psi.exchange starts it as ``python -P -m psi.exchange_worker CPU_S MEMORY_BYTES``. It limits
itself before it reads its input, and speaks plain frames (psi.exchange.encode_fields) over
stdin and stdout: nothing it writes is executed or unpickled by its parent. The steps that
take a stranger's message are given a session key and no ID number.

Input: the step's name and its arguments. Output: ``ok`` and the results, or ``refused`` and a reason.

The library checks that points are on the curve; what it trusts without a look is checked here
first, because a crafted message otherwise gives a wrong answer (an unsorted RAW list), an abort
(an empty filter) or hours of work (2^31 hash functions).
"""

from __future__ import annotations

import math
import resource
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import private_set_intersection.python as openmined
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from psi.exchange import ITEM_WIDTH, decode_fields, encode_fields

POINT_BYTES = 33
MAX_FALSE_MATCHES = 0.01


class Refused(Exception):
    """Carries the reason to the parent."""


def run_request(items: bytes) -> tuple[bytes, bytes]:
    client = openmined.client.CreateWithNewKey(True)
    return client.GetPrivateKeyBytes(), client.CreateRequest(split_items(items)).SerializeToString()


def run_setup(items: bytes) -> tuple[bytes, bytes]:
    server = openmined.server.CreateWithNewKey(True)
    ignored = 0.5, 1  # a false-positive rate and a number of queries: RAW has neither
    setup = server.CreateSetupMessage(*ignored, split_items(items), openmined.DataStructure.RAW)
    return server.GetPrivateKeyBytes(), setup.SerializeToString()


def run_respond(key: bytes, max_requested: bytes, encoded: bytes) -> tuple[bytes]:
    request = parse(openmined.Request(), encoded)
    if not request.reveal_intersection:
        raise Refused("size_only")
    if not 1 <= len(request.encrypted_elements) <= int.from_bytes(max_requested, "big"):
        raise Refused("count")
    check_points(request.encrypted_elements)
    server = openmined.server.CreateFromKey(key, True)
    with library():
        return (server.ProcessRequest(request).SerializeToString(),)


def run_intersect(key: bytes, count: bytes, encoded_setup: bytes, encoded_response: bytes) -> tuple[bytes, bytes]:
    response = parse(openmined.Response(), encoded_response)
    n = int.from_bytes(count, "big")
    if len(response.encrypted_elements) != n:
        raise Refused("count")
    if len(check_points(response.encrypted_elements)) != n:
        raise Refused("repeated")
    setup = parse(openmined.ServerSetup(), encoded_setup)
    false_matches = n * check_setup(setup)
    if false_matches > MAX_FALSE_MATCHES:
        raise Refused("loose_filter")
    client = openmined.client.CreateFromKey(key, True)
    with library():
        positions = client.GetIntersection(setup, response)
    return array("I", sorted(positions)).tobytes(), struct.pack("d", false_matches)


def split_items(items: bytes) -> list[str]:
    text = items.decode("ascii")
    listed = [text[at : at + ITEM_WIDTH] for at in range(0, len(text), ITEM_WIDTH)]
    if len(set(listed)) != len(listed):
        raise Refused("not_distinct")
    return listed


def parse(message: Any, encoded: bytes) -> Any:
    try:
        message.ParseFromString(encoded)
    except DecodeError:
        raise Refused("not_protobuf") from None
    return message


def check_points(elements: Iterable[bytes]) -> set[bytes]:
    """The distinct elements, each of the form of a compressed point (SEC 1 section 2.3.3)."""
    distinct = set(elements)
    if not all(len(element) == POINT_BYTES and element[0] in (2, 3) for element in distinct):
        raise Refused("bad_point")
    return distinct


def check_setup(setup: Any) -> float:
    """An upper bound of the chance that one number which is not common is reported as common."""
    structure = setup.WhichOneof("data_structure")
    if structure == "raw":
        check_points(setup.raw.encrypted_elements)
        if any(left > right for left, right in pairwise(setup.raw.encrypted_elements)):
            raise Refused("unsorted")
        return 0.0
    if structure == "gcs":
        return check_golomb(setup.gcs.div, setup.gcs.hash_range, setup.gcs.bits)
    if structure == "bloom_filter":
        return check_bloom(setup.bloom_filter.num_hash_functions, setup.bloom_filter.bits)
    raise Refused("no_structure")


def check_golomb(div: int, hash_range: int, bits: bytes) -> float:
    """A Golomb-coded set: a code word has at least div + 1 bits, so the bits bound the number of hashes."""
    if not 0 <= div <= 62 or hash_range < 1:
        raise Refused("bad_structure")
    return 8 * len(bits) / (div + 1) / hash_range


def check_bloom(hash_functions: int, bits: bytes) -> float:
    if not 1 <= hash_functions <= 128 or not bits:
        raise Refused("bad_structure")
    size = 8 * len(bits)
    filled = int.from_bytes(bits, "big").bit_count() / size
    return chance_of_a_false_match(size, hash_functions, filled)


def chance_of_a_false_match(size: int, hash_functions: int, filled: float) -> float:
    """The chance that a number which is not in the filter is found in it.

    The library looks at the places h1 + i * h2 mod ``size``, which come round after size / gcd(h2, size) steps: one
    number in ``size`` is judged by a single bit. That makes a small filter ten thousand times looser than it claims.
    """
    short_rounds = {round_: euler_phi(round_) / size for round_ in range(1, hash_functions) if size % round_ == 0}
    by_few_places = sum(share * filled**round_ for round_, share in short_rounds.items())
    return by_few_places + (1 - sum(short_rounds.values())) * math.pow(filled, hash_functions)


def euler_phi(number: int) -> int:
    """How many of 1..number share no factor with it."""
    return sum(math.gcd(other, number) == 1 for other in range(1, number + 1))


@contextmanager
def library() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError):  # absl::Status and std::exception, as pybind11 hands them on
        raise Refused("library") from None


def limit_self(cpu_s: int, memory: int) -> None:
    """No core file, no new file or socket, no file growth, bounded time and memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


STEPS = {"request": run_request, "setup": run_setup, "respond": run_respond, "intersect": run_intersect}


def main() -> None:
    limit_self(int(sys.argv[1]), int(sys.argv[2]))
    try:
        step, *arguments = decode_fields(sys.stdin.buffer.read())
        results: tuple[bytes, ...] = STEPS[step.decode()](*arguments)  # type: ignore[operator]
        reply = encode_fields((b"ok", *results))
    except Refused as refusal:
        reply = encode_fields((b"refused", str(refusal).encode()))
    except MemoryError:
        reply = encode_fields((b"refused", b"memory"))
    sys.stdout.buffer.write(reply)


if __name__ == "__main__":
    main()
