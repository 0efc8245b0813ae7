"""The Rust kernel's Python face. Only psi/ imports it.

Buffers: every argument typed ``Buffer`` is any C-contiguous bytes-like object
(bytes, bytearray, memoryview, mmap, pyarrow.Buffer); it is read in place, so nobody may
write to it during the call. Bulk values are contiguous: n elements are n*32 bytes, n PRF
outputs n*64, n tags n*16. A length or size that does not fit is an InputError.

The GIL is released during bulk work, all cores are used (``threads=0``) and Ctrl-C ends
a call within a second. ``progress`` is called in the caller's thread a few times a
second with the number of items done so far, and once at the end; the number never falls,
and what ``progress`` raises ends the call.

Errors: psi.errors.BadElement (params: index, batch), BadScalar, BatchSize (params: size),
ProofInvalid, LabelInvalid (params: index), InputError, BackendError. None of them holds
what was given.
"""

from collections.abc import Callable, Sequence
from typing import final

from typing_extensions import Buffer

Progress = Callable[[int], object] | None

MODE_OPRF: int  # 0x00
MODE_VOPRF: int  # 0x01
MAX_BATCH: int  # 65,535

def backend_name() -> str:
    """Which arithmetic runs here. Raises BackendError if it failed its start-up self-check."""

def thread_count() -> int:
    """How many threads ``threads=0`` means."""

@final
class SecretKey:
    """A non-zero scalar k. Wiped when dropped; its repr shows only the public key's SHA-256."""

    @staticmethod
    def derive(mode: int, seed: Buffer, info: Buffer) -> SecretKey:
        """RFC 9497 section 3.2.1 DeriveKeyPair; seed is 32 bytes."""
    @staticmethod
    def generate() -> SecretKey:
        """RFC 9497 section 2.1 RandomScalar, from the system's random source."""
    @staticmethod
    def from_bytes(encoded: Buffer) -> SecretKey:
        """Strict: canonical and non-zero, or BadScalar."""
    def expose_bytes(self) -> bytes:
        """The 32 secret bytes, for wrapping only."""
    @property
    def public_key(self) -> bytes:
        """k*G, 32 bytes."""

@final
class BlindedBatch:
    """The client's side of one batch: inputs and blinds stay inside until dropped."""

    def __init__(
        self,
        mode: int,
        items: Buffer,
        width: int,
        *,
        seed: Buffer | None = None,
        context: Buffer = b"",
        pad_to: int = 0,
        blinding: str | None = None,
        threads: int = 0,
        progress: Progress = None,
    ) -> None:
        """Blind n = len(items)/width equal-length inputs (RFC 9497 section 3.3.1 Blind); 1 to MAX_BATCH, or BatchSize.

        With a 32-byte ``seed`` the blinds are derived from (seed, context, position, item), so
        that a batch can be made again after a break and an auditor can open positions;
        without, from a fresh random seed. The batch is padded to ``pad_to`` with random elements
        (derived from the same seed). How: docs/reference/protocol.md section 7.

        ``blinding`` is "additive" (H(x) + r*G: two to three times cheaper, sound only with a proof, so the
        default in mode VOPRF) or "multiplicative" (r*H(x), RFC 9497's own; the default in mode OPRF)."""
    @staticmethod
    def with_blinds(
        mode: int, items: Buffer, width: int, blinds: Buffer, *, blinding: str | None = "multiplicative"
    ) -> BlindedBatch:
        """Dangerous: caller-chosen blinds, for test vectors and audit opening."""
    def __len__(self) -> int:
        """n, without the padding."""
    @property
    def blinded_elements(self) -> bytes:
        """max(n, pad_to) * 32 bytes."""
    def finalize(
        self,
        evaluated_elements: Buffer,
        proof: Buffer | None = None,
        public_key: Buffer | None = None,
        *,
        threads: int = 0,
        progress: Progress = None,
    ) -> bytes:
        """Verify the proof (VOPRF), unblind, and return n PRF outputs of 64 bytes (RFC 9497 section 3.3.2 Finalize).

        ``evaluated_elements`` are max(n, pad_to) elements. Mode VOPRF needs the proof and the
        pinned public key, mode OPRF takes neither. Nothing is unblinded, and nothing is
        returned, unless every element decodes (BadElement) and the proof holds (ProofInvalid)."""

@final
class DecodedElements:
    """1 to MAX_BATCH foreign elements that all decode: checked once, and not decoded again to be evaluated."""

    def __new__(cls, elements: Buffer, *, threads: int = 0) -> DecodedElements:
        """``elements`` are n*32 bytes. BadElement names the first refused one; BatchSize."""
    def __len__(self) -> int: ...

def blind_evaluate(
    mode: int,
    key: SecretKey,
    blinded_elements: Buffer | DecodedElements,
    *,
    proof_randomness: Buffer | None = None,
    threads: int = 0,
    progress: Progress = None,
) -> tuple[bytes, bytes]:
    """RFC 9497 section 3.3.2 BlindEvaluate over a batch: (evaluated elements, proof).

    The proof is b"" in mode OPRF. Its random scalar is derived from the key and the batch,
    so that the same request gives the same bytes; ``proof_randomness`` sets it for test vectors.
    BadElement refuses the whole batch, nothing of it is returned; BatchSize unless it holds 1 to MAX_BATCH."""

def verify_proof(public_key: Buffer, blinded: Buffer, evaluated: Buffer, proof: Buffer) -> None:
    """RFC 9497 section 2.2.2 VerifyProof in mode VOPRF, or ProofInvalid, BadElement, BatchSize."""

def evaluate(
    mode: int, key: SecretKey, items: Buffer, width: int, *, threads: int = 0, progress: Progress = None
) -> bytes:
    """The sender's own PRF outputs (RFC 9497 section 3.3.1 Evaluate), n*64 bytes, for any n."""

def encode_rows(
    key: SecretKey,
    items: Buffer,
    width: int,
    *,
    dataset: str,
    epoch: str,
    versions: Buffer,  # n little-endian u32
    labels: Buffer,  # n * label_width
    label_width: int,
    receipt_keys: Sequence[Buffer] = (),  # 32 bytes each
    receipt_key_index: Buffer = b"",  # n little-endian u16, an index into receipt_keys
    threads: int = 0,
    progress: Progress = None,
) -> tuple[bytes, bytes]:
    """Rows of an edition: (tags n*16, sealed labels n*(label_width+16+16)).

    docs/reference/protocol.md section 2, mode VOPRF. PRF outputs never leave the kernel.
    The plaintext of a sealed label is label || receipt; receipt = 16 zero bytes when no
    receipt keys are given. label_width is 1 to 65,535; with receipts an item is at most 255 bytes."""

def derive_tags(outputs: Buffer, *, dataset: str, epoch: str, threads: int = 0) -> bytes:
    """The tags of n PRF outputs: n*16 bytes."""

def open_labels(
    outputs: Buffer, sealed: Buffer, versions: Buffer, label_width: int, *, dataset: str, epoch: str, threads: int = 0
) -> tuple[bytes, bytes]:
    """Open n sealed labels: (labels n*label_width, receipts n*16). LabelInvalid names the first that fails."""

def receipts(
    key: Buffer,
    items: Buffer,
    width: int,
    versions: Buffer,
    labels: Buffer,
    label_width: int,
    *,
    dataset: str,
    epoch: str,
) -> bytes:
    """n receipts of 16 bytes (docs/reference/protocol.md section 2) under one 32-byte key,
    for issue and for checking."""

def find_tags(sorted_tags: Buffer, queries: Buffer, *, threads: int = 0) -> bytes:
    """Positions of the queries in a sorted column of tags: n little-endian i64, -1 for absent."""

def sort_order(keys: Buffer, width: int, *, threads: int = 0) -> bytes:
    """The stable ascending order of n fixed-width keys: n little-endian u32."""

def take_rows(rows: Buffer, width: int, order: Buffer) -> bytes:
    """Gather fixed-width rows by little-endian u32 positions; InputError for one that leaves them."""

def keyed_references(key: Buffer, items: Buffer, width: int, *, threads: int = 0) -> bytes:
    """HMAC-SHA-512(key, item) cut to 16 bytes, for each item: a blind index inside one party's own store.

    The key is 32 bytes."""

def pack_labels(columns: Sequence[tuple[Buffer, Buffer]], label_width: int) -> bytes:
    """n labels from Arrow string columns given as (int32 offsets, UTF-8 data). InputError names row and column."""

def unpack_labels(labels: Buffer, label_width: int, fields: int) -> list[tuple[bytes, bytes]]:
    """The inverse: (int32 offsets, UTF-8 data) for each field."""

def normalise_ids(offsets: Buffer, data: Buffer, *, threads: int = 0) -> tuple[bytes, bytes]:
    """GB 11643 normaliser, version gb11643/1: (items n*18, verdicts n u8). See psi/identifiers.py for verdicts."""

def _element_from_uniform_bytes(uniform: Buffer) -> bytes:
    """RFC 9496 section 4.3.4 on 64 bytes, encoded: for its test vectors."""

def _decode_element(encoded: Buffer) -> bytes:
    """RFC 9496 section 4.3.1, encoded again, or BadElement: for its test vectors."""
