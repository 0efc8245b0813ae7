"""What several command groups of those who ask open: a bank, or a bureau that checks."""

from __future__ import annotations

from pathlib import Path

from matcher.bank.store import STORE_SECRET, BankStore
from matcher.bank.warrants import Warrants
from scripts.county.checking import open_link
from scripts.home import Home, open_any_home, open_home


def open_store(home: Home) -> BankStore:
    secret = home.open_keys().get_store_secret
    return home.open_once("bank", lambda: BankStore(home.path, secret(STORE_SECRET), home.clock))


def open_asker(config: Path | None, link: str | None) -> tuple[Home, BankStore]:
    """A bank's home and store, or a bureau's home and what it keeps of its checks by one link.

    Raises SettingsInvalid, Refused.
    """
    home = open_any_home(config)
    if home.settings.party == "bureau":
        return home, open_link(home, link).store
    home = open_home(config, "bank")
    return home, open_store(home)


def open_warrants(home: Home, store: BankStore) -> Warrants:
    keys = home.open_keys()
    return store.warrants(keys.operators, keys.get_public_identity())
