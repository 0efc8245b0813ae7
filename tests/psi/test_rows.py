"""Rows against docs/reference/protocol.md section 2, recomputed with other libraries."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from psi import _native
from psi.errors import InputError, LabelInvalid
from psi.oprf import MODE_VOPRF, SecretKey, evaluate

KEY = SecretKey.derive(MODE_VOPRF, bytes(32), b"rows")
DATASET, EPOCH = "kuozhong.330922", "2026"
CONTEXT = bytes([len(DATASET)]) + DATASET.encode() + bytes([len(EPOCH)]) + EPOCH.encode()
WIDTH, LABEL = 18, 40
RECEIPT_KEYS = [bytes([i]) * 32 for i in range(3)]


def table(count: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Items, versions, labels and receipt key positions of ``count`` made-up rows."""
    numbers = range(count)
    items = b"".join(b"339900%012d" % i for i in numbers)
    versions = b"".join((i * 77_777 + 1).to_bytes(4, "little") for i in numbers)
    labels = b"".join(hashlib.sha512(b"label %d" % i).digest()[:LABEL] for i in numbers)
    index = b"".join((i % 3).to_bytes(2, "little") for i in numbers)
    return items, versions, labels, index


def expected_receipt(key: bytes, item: bytes, version: bytes, label: bytes) -> bytes:
    number = int.from_bytes(version, "little").to_bytes(4, "big")
    message = b"mingce/1 receipt\0" + CONTEXT + number + bytes([len(item)]) + item + label
    return hmac.digest(key, message, "sha512")[:16]


def expected_tag(prf: bytes) -> bytes:
    return HKDFExpand(SHA512(), 16, b"mingce/1 tag\0" + CONTEXT).derive(prf)


def expected_cipher(prf: bytes, version: bytes) -> ChaCha20Poly1305:
    number = int.from_bytes(version, "little").to_bytes(4, "big")
    return ChaCha20Poly1305(HKDFExpand(SHA512(), 32, b"mingce/1 label\0" + CONTEXT + number).derive(prf))


def encode(count: int, receipts: bool = True, threads: int = 0) -> tuple[bytes, bytes]:
    items, versions, labels, index = table(count)
    return _native.encode_rows(
        KEY,
        items,
        WIDTH,
        dataset=DATASET,
        epoch=EPOCH,
        versions=versions,
        labels=labels,
        label_width=LABEL,
        receipt_keys=RECEIPT_KEYS if receipts else (),
        receipt_key_index=index if receipts else b"",
        threads=threads,
    )


@pytest.mark.parametrize("receipts", [True, False])
@pytest.mark.parametrize("count", [0, 1, 255, 256, 257])
def test_every_row_is_as_the_protocol_says(count: int, receipts: bool) -> None:
    items, versions, labels, _ = table(count)
    tags, sealed = encode(count, receipts)
    outputs = evaluate(MODE_VOPRF, KEY, items, WIDTH)
    assert (len(tags), len(sealed)) == (16 * count, (LABEL + 32) * count)
    for i in range(count):
        item, version = items[i * WIDTH :][:WIDTH], versions[i * 4 :][:4]
        prf, label = outputs[i * 64 :][:64], labels[i * LABEL :][:LABEL]
        assert tags[i * 16 :][:16] == expected_tag(prf)
        receipt = expected_receipt(RECEIPT_KEYS[i % 3], item, version, label) if receipts else bytes(16)
        row = sealed[i * (LABEL + 32) :][: LABEL + 32]
        assert expected_cipher(prf, version).decrypt(bytes(12), row, None) == label + receipt


def test_the_number_of_threads_changes_nothing() -> None:
    assert encode(600, threads=1) == encode(600, threads=2) == encode(600)


def test_the_bank_finds_and_opens_what_the_province_encoded() -> None:
    count = 700
    items, versions, labels, _ = table(count)
    tags, sealed = encode(count)
    outputs = evaluate(MODE_VOPRF, KEY, items, WIDTH)
    assert _native.derive_tags(outputs, dataset=DATASET, epoch=EPOCH) == tags
    opened, receipts = _native.open_labels(outputs, sealed, versions, LABEL, dataset=DATASET, epoch=EPOCH)
    assert opened == labels
    for division in range(3):
        issued = _native.receipts(
            RECEIPT_KEYS[division], items, WIDTH, versions, labels, LABEL, dataset=DATASET, epoch=EPOCH
        )
        for i in range(division, count, 3):
            assert receipts[i * 16 :][:16] == issued[i * 16 :][:16]


class TestSealing:
    COUNT = 300
    ITEMS, VERSIONS, LABELS, _ = table(COUNT)
    OUTPUTS = evaluate(MODE_VOPRF, KEY, ITEMS, WIDTH)
    SEALED = encode(COUNT)[1]

    def refuse(self, index: int, **changed: bytes | str) -> None:
        given = {"outputs": self.OUTPUTS, "sealed": self.SEALED, "versions": self.VERSIONS} | changed
        names = {"dataset": DATASET, "epoch": EPOCH} | {k: given.pop(k) for k in ("dataset", "epoch") if k in given}
        with pytest.raises(LabelInvalid) as refused:
            _native.open_labels(given["outputs"], given["sealed"], given["versions"], LABEL, **names)  # type: ignore[arg-type]
        assert refused.value.params == {"index": index}

    @given(row=st.integers(0, COUNT - 1), bit=st.integers(0, 8 * (LABEL + 32) - 1))
    @settings(max_examples=60, deadline=None)
    def test_a_flipped_bit(self, row: int, bit: int) -> None:
        sealed = bytearray(self.SEALED)
        sealed[row * (LABEL + 32) + bit // 8] ^= 1 << bit % 8
        self.refuse(row, sealed=bytes(sealed))

    def test_the_first_of_several_is_named(self) -> None:
        sealed = bytearray(self.SEALED)
        for row in (299, 256, 31):
            sealed[row * (LABEL + 32)] ^= 1
        self.refuse(31, sealed=bytes(sealed))

    def test_another_version(self) -> None:
        versions = bytearray(self.VERSIONS)
        versions[4 * 17] ^= 1
        self.refuse(17, versions=bytes(versions))

    def test_another_persons_output(self) -> None:
        self.refuse(0, outputs=self.OUTPUTS[64:] + self.OUTPUTS[:64])

    def test_another_dataset_or_epoch(self) -> None:
        self.refuse(0, dataset="kuozhong.330921")
        self.refuse(0, epoch="2027")

    def test_dataset_and_epoch_cannot_be_shifted_into_each_other(self) -> None:
        """The lengths are hashed: "ab" + "c" is not "a" + "bc"."""
        both = [_native.derive_tags(self.OUTPUTS[:64], dataset=a, epoch=b) for a, b in (("ab", "c"), ("a", "bc"))]
        assert both[0] != both[1]

    def test_a_key_seals_unlike_for_every_version(self) -> None:
        """The nonce is zero, so no two rows may share a key stream."""
        count = 4
        _, sealed = _native.encode_rows(
            KEY,
            self.ITEMS[:WIDTH] * count,
            WIDTH,
            dataset=DATASET,
            epoch=EPOCH,
            versions=b"".join(version.to_bytes(4, "little") for version in range(count)),
            labels=bytes(LABEL * count),
            label_width=LABEL,
        )
        assert len({sealed[i * (LABEL + 32) :][:LABEL] for i in range(count)}) == count


class TestColumnsThatDoNotFit:
    def call(self, **changed: object) -> None:
        items, versions, labels, index = table(10)
        given: dict[str, object] = {
            "items": items,
            "width": WIDTH,
            "dataset": DATASET,
            "epoch": EPOCH,
            "versions": versions,
            "labels": labels,
            "label_width": LABEL,
            "receipt_keys": RECEIPT_KEYS,
            "receipt_key_index": index,
        }
        given |= changed
        with pytest.raises(InputError):
            _native.encode_rows(KEY, given.pop("items"), given.pop("width"), **given)  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["items", "versions", "labels", "receipt_key_index"])
    def test_one_byte_too_few_or_many(self, name: str) -> None:
        whole = dict(zip(("items", "versions", "labels", "receipt_key_index"), table(10), strict=True))[name]
        self.call(**{name: whole[:-1]})
        self.call(**{name: whole + b"\0"})

    @pytest.mark.parametrize("label_width", [0, -1, 39, 65_536, 2**62, 2**63 - 1, 2**64])
    def test_label_widths(self, label_width: int) -> None:
        self.call(label_width=label_width)

    def test_an_index_that_leaves_the_receipt_keys(self) -> None:
        self.call(receipt_key_index=b"\3\0" * 10)
        self.call(receipt_keys=[])
        self.call(receipt_key_index=b"")

    @pytest.mark.parametrize("size", [0, 31, 33])
    def test_receipt_keys_are_32_bytes(self, size: int) -> None:
        self.call(receipt_keys=[bytes(size)] * 3)

    @pytest.mark.parametrize("name", ["", "x" * 64, "UPPER", "with space", "slash/", "nul\0", "é", "县"])
    def test_names(self, name: str) -> None:
        self.call(dataset=name)
        self.call(epoch=name)


@settings(max_examples=50, deadline=None)
@given(key=st.binary(min_size=32, max_size=32), width=st.integers(1, 300), count=st.integers(0, 4), data=st.data())
def test_keyed_references_are_hmac(key: bytes, width: int, count: int, data: st.DataObject) -> None:
    items = data.draw(st.binary(min_size=width * count, max_size=width * count))
    references = _native.keyed_references(key, items, width)
    assert references == b"".join(
        hmac.digest(key, items[i : i + width], "sha512")[:16] for i in range(0, len(items), width)
    )
