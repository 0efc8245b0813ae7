"""The province's ledger, as its commands use it."""

from __future__ import annotations

import os

from keys.envelope import SignaturesMissing
from matcher.province.declarations import Declarations
from matcher.province.ledger import Ledger
from matcher.province.provinceday import day_of
from psi.errors import VerificationError
from scripts.home import Home
from scripts.messages import Refused


def open_ledger(home: Home) -> Ledger:
    return home.open_once("ledger", lambda: Ledger.open(home.path, home.clock))


def open_declarations(home: Home) -> Declarations:
    keystore = home.open_keys()
    province = keystore.get_public_identity().fingerprint
    return Declarations(open_ledger(home), keystore.operators, province, os.urandom)


def check_budgets(home: Home) -> None:
    """Sound an alarm, once a day, if a budget is not what two operators signed."""
    try:
        open_declarations(home).verify_budgets()
    except (VerificationError, SignaturesMissing) as error:
        open_ledger(home).sound_alarm(error, f"budgets {day_of(home.clock.now())}")


def current_epoch(ledger: Ledger, dataset: str) -> str:
    """Raises Refused before the dataset's first epoch, UnknownRecord."""
    epoch = ledger.get_dataset(dataset).current_epoch
    if epoch is None:
        raise Refused(
            f"名单 {dataset} 还没有密钥期；先运行 mingce keys create-epoch {dataset} 2026 --activate",
            f"Dataset {dataset} has no epoch yet; run mingce keys create-epoch {dataset} 2026 --activate",
        )
    return epoch
