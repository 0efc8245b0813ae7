"""The matching protocol: no network, no disk, no clock.

- ``suites``, ``oprf``: the verifiable oblivious PRF of RFC 9497 in batches, and its names and lengths.
- ``identifiers``: the normaliser of ID numbers. ``columns``: bytes and Arrow columns.
- ``edition``, ``encoding``: an edition's manifest, slices and labels; from a base list to its rows.
- ``transcript``: digests of batches that both sides keep.
- ``exchange`` and ``exchange_worker``: the one-shot intersection of two lists with openmined-psi.
- ``errors``: the typed errors of every layer.

``native`` is the Rust crate below, imported as ``psi._native`` by this package alone; its face is
``_native.pyi``. The protocol is written down in docs/reference/protocol.md.
"""
