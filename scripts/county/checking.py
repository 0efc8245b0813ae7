"""What the commands about department checks open."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from api.client import ProvinceClient
from keys.identity import PublicIdentity
from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.bank.warrants import Warrants
from matcher.checks.links import CheckLink, Links
from matcher.checks.results import check_secret, open_check_store
from matcher.schemas import ListSchema, load_schema
from psi.errors import MingceError
from scripts.home import Home, read_identity
from scripts.messages import Refused
from scripts.settings import DepartmentLink

LinkOption = Annotated[str | None, typer.Option("--dataset", help="which [department.NAME] of mingce.toml")]


@dataclass(frozen=True)
class OpenLink:
    """One [department.NAME] of a bureau's mingce.toml, with what is kept of its checks."""

    home: Home
    name: str
    settings: DepartmentLink

    @cached_property
    def schema(self) -> ListSchema:
        schema = load_schema(self.settings.label, self.home.path)
        require_for_bureaus(schema)
        return schema

    @cached_property
    def store(self) -> BankStore:
        def opening() -> BankStore:
            secret = self.home.open_keys().get_store_secret(check_secret(self.name))
            return open_check_store(self.home.path, self.name, secret, self.home.clock, self.schema)

        return self.home.open_once(f"checks of {self.name}", opening)

    @cached_property
    def warrants(self) -> Warrants:
        keys = self.home.open_keys()
        return self.store.warrants(keys.operators, keys.get_public_identity())

    @property
    def divisions(self) -> tuple[str, ...]:
        return tuple(self.settings.divisions or self.home.settings.divisions)

    def department(self) -> PublicIdentity:
        return read_sender(self.home.resolve(self.settings.identity))


def open_link(home: Home, given: str | None) -> OpenLink:
    """The link that is meant: the one named, or the only one. Raises Refused."""
    links = home.settings.department
    name = given or (next(iter(links)) if len(links) == 1 else "")
    if name not in links:
        known = ", ".join(links) or "-"
        raise Refused(
            f"用 --dataset 指定 mingce.toml 里的部门名单；有：{known}",
            f"Name a [department.…] of mingce.toml with --dataset; there are: {known}",
        )
    return OpenLink(home, name, links[name])


def list_links(home: Home) -> list[OpenLink]:
    return [OpenLink(home, name, link) for name, link in home.settings.department.items()]


def open_links(home: Home) -> Links:
    """Every configured dataset for the console; one that cannot be opened does not stop the others."""
    opened, broken = list[CheckLink](), dict[str, MingceError]()
    for link in list_links(home):
        try:
            opened.append(
                CheckLink(
                    link.name,
                    link.settings.dataset,
                    link.department(),
                    link.schema,
                    link.divisions,
                    link.store,
                    link.warrants,
                    {one.fingerprint: one.name for one in home.open_keys().operators.list_all()},
                )
            )
        except MingceError as error:
            broken[link.name] = error
    return Links(tuple(opened), broken)


def keep_budget(link: OpenLink, client: ProvinceClient, epoch: str) -> None:
    """Remember what the department tells of the allowance, for people; a run that is done is good without it."""
    with suppress(MingceError):
        found = client.get_budget(link.settings.dataset, epoch)
        link.store.told.keep(
            link.settings.dataset, epoch, total=found["limit"], used=found["used"], remaining=found["remaining"]
        )


def latest_run(link: OpenLink, given: str | None) -> Run:
    """The run that is meant: the one named, or the last that was completed. Raises Refused, RunNotFound."""
    if given is not None:
        return link.store.runs.require_finished(given)
    for run in link.store.runs.list_all():
        if run.state in ("COMPLETED", "RELEASED"):
            return run
    raise Refused(
        f"还没有完成的核验；先运行 mingce bureau check --dataset {link.name}",
        f"No completed check; run mingce bureau check --dataset {link.name}",
    )


def read_sender(path: Path) -> PublicIdentity:
    """A sender's identity. Raises Refused for a party of another kind."""
    party = read_identity(path)
    if party.kind not in ("department", "province"):
        raise Refused(f"{path} 不是部门或省财政厅的身份", f"{path} is not the identity of a department or province")
    return party


def require_for_bureaus(schema: ListSchema) -> None:
    if "bureau" not in schema.receivers:
        raise Refused(f"{schema.name} 不提供给财政局", f"{schema.name} is not for bureaus")
