"""Both roles against another implementation of RFC 9497: the `voprf` crate, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from psi.errors import ProofInvalid
from psi.oprf import MODE_VOPRF, BlindedBatch, SecretKey, blind_evaluate, evaluate

PEER = Path(__file__).parent / "voprf_peer"
KEY = SecretKey.derive(MODE_VOPRF, bytes(range(32)), b"interop")
WIDTH = 18


def rows(data: bytes, width: int) -> list[bytes]:
    return [data[i : i + width] for i in range(0, len(data), width)]


def items(count: int) -> list[bytes]:
    return [b"339900%012d" % i for i in range(count)]


@pytest.fixture(scope="session")
def peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The peer, built from its lock file. Without cargo there is no kernel either, so it is here."""
    cargo = shutil.which("cargo")
    assert cargo is not None
    command = [cargo, "build", "--release", "--locked", "--quiet", "--jobs", "2"]
    subprocess.run(command, cwd=PEER, check=True, timeout=600)
    return PEER / "target" / "release" / "voprf-peer"


class Peer:
    """Lists of hex lines in both directions."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._in, self._out = process, process.stdin, process.stdout

    def send(self, values: Sequence[bytes]) -> None:
        self._in.write("".join(f"{value.hex()}\n" for value in values) + "\n")
        self._in.flush()

    def receive(self) -> list[bytes]:
        values = []
        while line := self._out.readline().strip():
            values.append(bytes.fromhex(line))
        return values


@contextmanager
def running(program: Path, role: str, key: bytes) -> Iterator[Peer]:
    with subprocess.Popen(
        [program, role, key.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


@pytest.mark.parametrize("count", [1, 2, 257])
def test_their_client_with_our_server(peer_program: Path, count: int) -> None:
    with running(peer_program, "client", KEY.public_key) as peer:
        peer.send(items(count))
        blinded = b"".join(peer.receive())
        evaluated, proof = blind_evaluate(MODE_VOPRF, KEY, blinded)
        peer.send(rows(evaluated, 32))
        peer.send([proof])
        outputs = peer.receive()
        assert peer.process.wait(timeout=10) == 0
    assert b"".join(outputs) == evaluate(MODE_VOPRF, KEY, b"".join(items(count)), WIDTH)


@pytest.mark.parametrize("count", [1, 2, 257])
@pytest.mark.parametrize("pad_to", [0, 300])
def test_our_client_with_their_server(peer_program: Path, count: int, pad_to: int) -> None:
    data = b"".join(items(count))
    batch = BlindedBatch(MODE_VOPRF, data, WIDTH, pad_to=pad_to)
    with running(peer_program, "server", KEY.expose_bytes()) as peer:
        peer.send(rows(batch.blinded_elements, 32))
        evaluated = b"".join(peer.receive())
        (proof,) = peer.receive()
        peer.send(items(count))
        direct = b"".join(peer.receive())
        assert peer.process.wait(timeout=10) == 0
    outputs = batch.finalize(evaluated, proof, KEY.public_key)
    assert outputs == direct == evaluate(MODE_VOPRF, KEY, data, WIDTH)
    # The proof's scalar is random on their side, so the elements agree and the proofs do not.
    own, own_proof = blind_evaluate(MODE_VOPRF, KEY, batch.blinded_elements)
    assert own == evaluated
    assert own_proof != proof


def test_their_client_refuses_what_ours_refuses(peer_program: Path) -> None:
    with running(peer_program, "client", KEY.public_key) as peer:
        peer.send(items(3))
        blinded = b"".join(peer.receive())
        evaluated, proof = blind_evaluate(MODE_VOPRF, KEY, blinded)
        swapped = rows(evaluated, 32)[::-1]
        peer.send(swapped)
        peer.send([proof])
        assert peer.process.wait(timeout=10) != 0
        assert peer.process.stderr is not None
        assert "ProofVerification" in peer.process.stderr.read()


def test_our_client_refuses_their_answer_under_another_key(peer_program: Path) -> None:
    other = SecretKey.derive(MODE_VOPRF, bytes(32), b"interop")
    batch = BlindedBatch(MODE_VOPRF, b"".join(items(3)), WIDTH)
    with running(peer_program, "server", other.expose_bytes()) as peer:
        peer.send(rows(batch.blinded_elements, 32))
        evaluated = b"".join(peer.receive())
        (proof,) = peer.receive()
    with pytest.raises(ProofInvalid):
        batch.finalize(evaluated, proof, KEY.public_key)
