"""Made-up operators at a home, for what takes two of them."""

from __future__ import annotations

import os
from pathlib import Path

from keys.clock import Clock
from keys.identity import Identity, IdentityKind
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek

KEK = EnvironmentKek(environment={"MINGCE_KEK": "0b" * 32})
ZHANG, LI, WANG = (
    Identity(name, "operator", bytes([number]) * 32) for number, name in enumerate(("张三", "李四", "王五"), 21)
)


def keystore_with_operators(home: Path, clock: Clock, kind: IdentityKind = "bank") -> KeyStore:
    """A home with an identity; Zhang and Li are its operators, Wang is nobody there."""
    keystore = KeyStore(home, KEK, clock=clock, actor="test")
    keystore.create_identity(f"演示 {os.path.basename(home)}", kind)
    for operator in (ZHANG, LI):
        keystore.operators.register(operator.public)
    return keystore
