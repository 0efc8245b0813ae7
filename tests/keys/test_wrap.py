from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from keys_home import CHEAP
from nacl.pwhash import argon2id

from keys.wrap import (
    MODERATE,
    EnvironmentKek,
    FileKek,
    KekExposed,
    KekProvider,
    KekUnavailable,
    KeyUnwrapFailed,
    PassphraseCost,
    PassphraseKek,
    PassphraseTooShort,
    create_kek_file,
    provider_from_setting,
)
from psi.errors import InputError

SECRET = bytes(range(32))
CONTEXT = b"epoch key of kuozhong/2026"
KEK_HEX = "0f" * 32
PASSPHRASE = "correct horse battery"
ENVIRONMENT = {"MINGCE_KEK": KEK_HEX}

PROVIDERS: dict[str, Callable[[], KekProvider]] = {
    "environment": lambda: EnvironmentKek(environment=ENVIRONMENT),
    "passphrase": lambda: PassphraseKek(lambda: PASSPHRASE, CHEAP),
}


@pytest.mark.parametrize("name", PROVIDERS)
@settings(deadline=None)
@given(plaintext=st.binary(max_size=100), context=st.binary(max_size=50))
def test_what_is_wrapped_opens_again(name: str, plaintext: bytes, context: bytes) -> None:
    wrapped = PROVIDERS[name]().wrap(plaintext, context)
    assert PROVIDERS[name]().unwrap(wrapped, context) == plaintext


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_two_wrappings_are_equal(name: str) -> None:
    provider = PROVIDERS[name]()
    assert SECRET not in provider.wrap(SECRET, CONTEXT)
    assert len({provider.wrap(SECRET, CONTEXT) for _ in range(20)}) == 20


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_byte_is_authenticated(name: str) -> None:
    provider = PROVIDERS[name]()
    wrapped = provider.wrap(SECRET, CONTEXT)
    for position in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[position] ^= 1
        with pytest.raises(KeyUnwrapFailed):
            provider.unwrap(bytes(damaged), CONTEXT)


@pytest.mark.parametrize("name", PROVIDERS)
def test_other_lengths_and_contexts_do_not_open(name: str) -> None:
    provider = PROVIDERS[name]()
    wrapped = provider.wrap(SECRET, CONTEXT)
    for length in range(len(wrapped)):
        with pytest.raises(KeyUnwrapFailed):
            provider.unwrap(wrapped[:length], CONTEXT)
    with pytest.raises(KeyUnwrapFailed):
        provider.unwrap(wrapped + b"\0", CONTEXT)
    for context in (b"", CONTEXT + b" ", b"\0" + CONTEXT):
        with pytest.raises(KeyUnwrapFailed):
            provider.unwrap(wrapped, context)


def test_the_header_does_not_slide_into_the_context() -> None:
    """Header and context are authenticated one after the other; the header's length is fixed by its scheme."""
    provider = EnvironmentKek(environment=ENVIRONMENT)
    wrapped = provider.wrap(SECRET, b"\x02" + CONTEXT)
    with pytest.raises(KeyUnwrapFailed):
        provider.unwrap(wrapped[:6] + b"\x02" + wrapped[6:], CONTEXT)


@pytest.mark.parametrize(
    "other",
    [
        EnvironmentKek(environment={"MINGCE_KEK": "0e" * 32}),
        PassphraseKek(lambda: PASSPHRASE, CHEAP),
    ],
)
def test_another_key_does_not_open(other: KekProvider) -> None:
    with pytest.raises(KeyUnwrapFailed):
        other.unwrap(EnvironmentKek(environment=ENVIRONMENT).wrap(SECRET, CONTEXT), CONTEXT)


def test_another_kind_of_key_says_so() -> None:
    providers = [provider() for provider in PROVIDERS.values()]
    for one, other in (providers, reversed(providers)):
        with pytest.raises(KeyUnwrapFailed, match="another kind"):
            other.unwrap(one.wrap(SECRET, CONTEXT), CONTEXT)


def test_another_passphrase_does_not_open() -> None:
    wrapped = PassphraseKek(lambda: PASSPHRASE, CHEAP).wrap(SECRET, CONTEXT)
    with pytest.raises(KeyUnwrapFailed):
        PassphraseKek(lambda: PASSPHRASE + " ", CHEAP).unwrap(wrapped, CONTEXT)


# Files and variables


@pytest.mark.parametrize("content", [bytes(range(32)), b"0f" * 32, b"0F" * 32 + b"\n", b"0f" * 32 + b"\r\n"])
def test_a_key_file_is_raw_or_hex(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kek"
    path.write_bytes(content)
    path.chmod(0o400)
    assert FileKek(path).unwrap(FileKek(path).wrap(SECRET, CONTEXT), CONTEXT) == SECRET
    if len(content) > 32:
        wrapped = EnvironmentKek(environment=ENVIRONMENT).wrap(SECRET, CONTEXT)
        assert FileKek(path).unwrap(wrapped, CONTEXT) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644, 0o777])
def test_a_key_file_open_to_others_is_refused(kek: FileKek, mode: int) -> None:
    kek.path.chmod(mode)
    with pytest.raises(KekExposed) as caught:
        kek.wrap(SECRET, CONTEXT)
    assert caught.value.params == {"file": str(kek.path), "mode": f"{mode:04o}"}


@pytest.mark.parametrize(
    "content", [b"", bytes(31), bytes(33), b"0f" * 31, b"0g" * 32, b"0f" * 32 + b"\n\n", b" " + b"0f" * 32, bytes(100)]
)
def test_a_malformed_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kek"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KekUnavailable):
        FileKek(path).wrap(SECRET, CONTEXT)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path / "none", tmp_path, pipe):
        with pytest.raises(KekUnavailable):
            FileKek(path).wrap(SECRET, CONTEXT)


def test_a_new_key_file_is_private_random_and_never_replaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        create_kek_file(tmp_path / name)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()
    with pytest.raises(FileExistsError):
        create_kek_file(tmp_path / "a")


@pytest.mark.parametrize("value", [None, "", "0f" * 31, "0g" * 32, " " + "0f" * 32, "0f" * 33, "\udcff" * 64])
def test_a_malformed_variable_is_refused(value: str | None) -> None:
    environment = {} if value is None else {"MINGCE_KEK": value}
    with pytest.raises(KekUnavailable) as caught:
        EnvironmentKek(environment=environment).wrap(SECRET, CONTEXT)
    assert caught.value.params == {"variable": "MINGCE_KEK"}


# Passphrases


def test_the_passphrase_is_asked_once_and_only_when_needed() -> None:
    asked: list[None] = []

    def ask() -> str:
        asked.append(None)
        return PASSPHRASE

    provider = PassphraseKek(ask, CHEAP)
    assert "passphrase" in provider.describe()
    assert asked == []
    for _ in range(3):
        provider.unwrap(provider.wrap(SECRET, CONTEXT), CONTEXT)
    assert len(asked) == 1


def test_a_second_process_goes_on_under_the_first_ones_salt() -> None:
    """One derivation opens a whole store, however many processes wrote it."""
    first = PassphraseKek(lambda: PASSPHRASE, CHEAP).wrap(SECRET, CONTEXT)
    provider = PassphraseKek(lambda: PASSPHRASE, PassphraseCost(2, 16))
    provider.unwrap(first, CONTEXT)
    second = provider.wrap(SECRET, CONTEXT)
    assert second[:30] == first[:30]
    assert PassphraseKek(lambda: PASSPHRASE, CHEAP).unwrap(second, CONTEXT) == SECRET


def test_the_salt_and_cost_stand_beside_the_key() -> None:
    wrapped = PassphraseKek(lambda: PASSPHRASE, PassphraseCost(3, 64)).wrap(SECRET, CONTEXT)
    assert wrapped[:6] == b"MCWK\x01\x02"
    assert (int.from_bytes(wrapped[22:26], "big"), int.from_bytes(wrapped[26:30], "big")) == (3, 64)
    assert PassphraseKek(lambda: PASSPHRASE, CHEAP).unwrap(wrapped, CONTEXT) == SECRET


def test_the_default_cost_is_libsodiums_moderate() -> None:
    assert (MODERATE.passes, MODERATE.memory_kib) == (3, 256 * 1024)
    wrapped = PassphraseKek(lambda: PASSPHRASE).wrap(SECRET, CONTEXT)
    kek = argon2id.kdf(32, PASSPHRASE.encode(), wrapped[6:22], opslimit=3, memlimit=256 * 1024 * 1024)
    header, nonce, sealed = wrapped[:30], wrapped[30:42], wrapped[42:]
    assert AESGCM(kek).decrypt(nonce, sealed, header + CONTEXT) == SECRET


@pytest.mark.parametrize(
    ("passes", "memory_kib"), [(0, 8), (1, 0), (5, 8), (2**32 - 1, 8), (1, 2**20 + 1), (1, 2**32 - 1)]
)
def test_an_unreasonable_cost_is_not_paid(passes: int, memory_kib: int) -> None:
    wrapped = bytearray(PassphraseKek(lambda: PASSPHRASE, CHEAP).wrap(SECRET, CONTEXT))
    wrapped[22:30] = passes.to_bytes(4, "big") + memory_kib.to_bytes(4, "big")
    with pytest.raises(KeyUnwrapFailed):
        PassphraseKek(lambda: PASSPHRASE, CHEAP).unwrap(bytes(wrapped), CONTEXT)


def test_a_passphrase_is_the_same_from_every_keyboard() -> None:
    composed, decomposed = "p\u00e4ssphrase 名册 2026", "pa\u0308ssphrase 名册 2026"
    wrapped = PassphraseKek(lambda: composed, CHEAP).wrap(SECRET, CONTEXT)
    assert PassphraseKek(lambda: decomposed, CHEAP).unwrap(wrapped, CONTEXT) == SECRET


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(PassphraseTooShort):
        PassphraseKek(lambda: "elevenchars", CHEAP).wrap(SECRET, CONTEXT)


# Settings


def test_a_setting_names_its_provider(kek: FileKek, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVINCE_KEK", KEK_HEX)
    for setting in (f"file:{kek.path}", "env:PROVINCE_KEK", "passphrase"):
        provider = provider_from_setting(setting, ask_passphrase=lambda: PASSPHRASE)
        assert provider.describe() == setting
    assert provider_from_setting("env:PROVINCE_KEK", ask_passphrase=str).wrap(SECRET, CONTEXT)


@pytest.mark.parametrize("setting", ["", "file", "file:", "env:", "env:a b", "passphrase:secret", "hsm:1", KEK_HEX])
def test_other_settings_are_refused_without_repeating_them(setting: str) -> None:
    with pytest.raises(InputError) as caught:
        provider_from_setting(setting, ask_passphrase=str)
    assert KEK_HEX not in str(caught.value)


def test_no_secret_in_any_print_or_error(tmp_path: Path) -> None:
    kek_hex = secrets.token_hex(32)
    path = tmp_path / "kek"
    path.write_text(kek_hex)
    path.chmod(0o600)
    environment = EnvironmentKek(environment={"MINGCE_KEK": kek_hex})
    passphrase = PassphraseKek(lambda: PASSPHRASE, CHEAP)
    for provider in (FileKek(path), environment, passphrase):
        texts = [repr(provider), str(provider), provider.describe()]
        wrapped = bytearray(provider.wrap(SECRET, CONTEXT))
        wrapped[-1] ^= 1
        with pytest.raises(KeyUnwrapFailed) as caught:
            provider.unwrap(bytes(wrapped), CONTEXT)
        texts += [repr(caught.value), str(caught.value.params), repr(provider)]
        for text in texts:
            assert kek_hex[:8] not in text
            assert PASSPHRASE not in text
            assert SECRET.hex()[:8] not in text
