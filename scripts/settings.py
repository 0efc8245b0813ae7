"""``mingce.toml``: one file for each party, in the folder that holds its state.

Paths in it are relative to that folder. Every setting can be overridden by an environment variable
``MINGCE_<SECTION>__<NAME>`` (pydantic-settings).
"""

from __future__ import annotations

import os
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from keys.rotation import RotationPolicy
from matcher.personal.retention import Retention
from psi.errors import InputError

CONFIG_NAME = "mingce.toml"


class SettingsInvalid(InputError):
    """The configuration cannot be used; ``params``: file, field, reason."""

    code = "settings_invalid"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeySettings(Section):
    kek: str = Field(
        "file:secrets/kek", description="where the key-encryption key is: file:PATH, env:NAME or passphrase"
    )


class RotationSettings(Section):
    """How a dataset's epochs follow one another (docs/how-to/rotate-an-epoch.md), in days."""

    period_days: int = Field(365, description="from the end of one epoch to the end of the next")
    create_days: int = Field(60, description="the next epoch is created so long before the present one ends")
    overlap_days: int = Field(30, description="so long the old and the new epoch are both served")
    retain_days: int = Field(90, description="an expired epoch's key is kept so long, for receipts, then destroyed")
    public_editions: Literal["remove", "keep"] = Field(
        "remove", description="what becomes of the published files of a destroyed epoch"
    )

    @cached_property
    def policy(self) -> RotationPolicy:
        return RotationPolicy(**self.model_dump())

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        try:
            _ = self.policy
        except InputError as error:
            raise ValueError(error.detail) from None
        return self


class DatasetSettings(Section):
    """One list that a sender publishes."""

    title: str = Field("基础名单库", description="its name for people")
    label: str = Field("kuozhong/1", description="what a row holds: a built-in label schema, or a .toml file of one")
    division: str | None = Field(
        None, pattern="^[0-9]{6}$", description="the county of all rows, for a list that does not say"
    )
    source: Path | None = Field(None, description="the file that the nightly refresh reads")
    duplicates: Literal["first", "last"] = Field(
        "last", description="which row of an ID number that stands twice is kept"
    )
    shrink_limit: float = Field(
        0.2, ge=0, le=1, description="a refresh stops when more than this share of the rows is gone"
    )
    label_width: int | None = Field(
        None, ge=8, le=4096, description="bytes of a label, else its schema's; fixed for the life of an epoch"
    )
    bucket: int = Field(1024, ge=1, description="slices are padded to a multiple of this many rows")
    delta_limit: float = Field(
        0.1, ge=0, le=1, description="up to this share of the rows changed since the last full edition makes a delta"
    )
    renew_days: int = Field(7, ge=1, description="an unchanged list is published anew after so many days")
    keep_editions: int = Field(30, ge=1, description="older editions are removed, but never one still needed")
    columns: dict[str, str | list[str]] = Field(default_factory=dict, description="our field = the file's heading(s)")
    rotation: RotationSettings = RotationSettings()


class ServeSettings(Section):
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8443, ge=0, le=65535, description="0 picks a free one")
    unix_socket: Path | None = Field(None, description="listen on this file instead, for a reverse proxy")
    workers: int = Field(2, ge=1, description="evaluations at the same time")
    tls_cert: Path | None = Field(None, description="the server's certificate with its chain, PEM")
    tls_key: Path | None = Field(None, description="its private key, PEM")
    client_ca: Path | None = Field(None, description="authorities for client certificates, PEM; every caller is asked")
    require_client_certificate: bool = Field(
        False, description="serve no party without a bound certificate; else only parties that have one are held to it"
    )
    behind_proxy: bool = Field(
        False, description="a reverse proxy on this machine ends TLS and names the client certificate it verified"
    )
    proxy_cert: Path | None = Field(
        None, description="the reverse proxy's certificate, PEM: not used, but the doctor says when it ends"
    )
    allow_plain_http: bool = Field(False, description="http beyond loopback; only behind a tunnel that you trust")


class ProvinceLink(Section):
    """How a bank reaches the province."""

    url: str = Field("http://127.0.0.1:8443", description="where its endpoint is")
    identity: Path = Field(Path("province.identity.json"), description="its identity, compared by telephone")
    ca_file: Path | None = Field(None, description="authorities for the province's certificate, PEM; else the system's")
    client_cert: Path | None = Field(None, description="this side's client certificate with its chain, PEM")
    client_key: Path | None = Field(None, description="its private key, PEM")
    proxy: str | None = Field(None, description="an HTTP proxy on the way, as a URL")
    timeout_s: float = Field(60, gt=0, description="the longest wait for one answer")
    allow_plain_http: bool = Field(False, description="http beyond loopback; only behind a tunnel that you trust")


class DepartmentLink(ProvinceLink):
    """A department's dataset that a bureau checks households against, and how it reaches the department."""

    identity: Path = Field(description="the department's identity, compared by telephone")
    dataset: str = Field(description="its dataset's name")
    label: str = Field(description="the label schema agreed on: a built-in one, or a .toml file of it")
    divisions: list[str] = Field(default_factory=list, description="the slices to look in; else the bureau's counties")
    purpose: str = Field("扩中家庭部门核验", description="recorded with every run")
    legal_basis: str = Field("个人信息保护法第十三条；家庭核验授权", description="recorded with every run")
    max_age_days: int = Field(30, ge=1, description="an edition older than this is refused")
    keep_runs: int = Field(7, ge=2, description="results of older checks are removed")


class MatchSettings(Section):
    dataset: str = Field("base", description="the province's dataset to match against")
    divisions: list[str] = Field(default_factory=list, description="the slices to look in, six digits each")
    duplicates: Literal["first", "last"] = Field(
        "last", description="which row of an ID number that stands twice is kept"
    )
    purpose: str = Field("扩中家庭名单匹配", description="recorded with every run")
    legal_basis: str = Field("个人信息保护法第十三条；客户单独同意", description="recorded with every run")
    max_age_days: int = Field(30, ge=1, description="an edition older than this is refused")
    keep_runs: int = Field(7, ge=2, description="screening records of older runs are removed")
    columns: dict[str, str | list[str]] = Field(default_factory=dict, description="our field = the file's heading(s)")


class RetentionSettings(Section):
    """For how many days a bureau keeps what (docs/reference/personal-data.md). No source states it: all are assumed."""

    not_admitted: int = Field(Retention.not_admitted, description="households not followed up, refined out or rejected")
    ended: int = Field(Retention.ended, description="households that left the final list, loans and claims closed")
    answers: int = Field(Retention.answers, description="departments' answers, of households not under review")
    places: int = Field(Retention.places, description="places and tracks of visits")
    refused_rows: int = Field(Retention.refused_rows, description="masked numbers of refused rows")
    sign_ins: int = Field(Retention.sign_ins, description="sessions, failed sign-ins and idempotency keys")

    @cached_property
    def periods(self) -> Retention:
        return Retention(**self.model_dump())

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            _ = self.periods
        except InputError as error:
            raise ValueError(error.detail) from None
        return self


class SignInSettings(Section):
    second_factor: bool = Field(True, description="sessions need a code of a bound device, too")


class HandoverSettings(Section):
    bureau: Path | None = Field(None, description="the bureau's identity file")


class LoanFileSettings(Section):
    """A bank's daily loan file (docs/reference/loan-file.md)."""

    columns: dict[str, str | list[str]] = Field(default_factory=dict, description="our field = the file's heading(s)")


class BackupSettings(Section):
    """Where backups go, and who can open them (docs/how-to/back-up-and-restore.md)."""

    recipient: Path | None = Field(None, description="the public half of a backup key, from `mingce backup keygen`")
    folder: Path = Field(Path("../backups"), description="where `mingce backup create` writes, outside the home")
    max_age_hours: int = Field(26, ge=1, description="`mingce doctor` warns when the newest backup is older")


class Settings(BaseSettings):
    """Everything that can be set, for all three parties; each uses its own sections."""

    model_config = SettingsConfigDict(env_prefix="MINGCE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    party: Literal["province", "department", "bank", "bureau"] = Field(description="whose home this is")
    name: str = Field(description="the party's name, as its pages and documents show it")
    demo: bool = Field(False, description="made-up people: says so everywhere, and obeys MINGCE_DEMO_CLOCK")
    keys: KeySettings = KeySettings()
    dataset: dict[str, DatasetSettings] = Field(default_factory=dict)
    serve: ServeSettings = ServeSettings()
    sign_in: SignInSettings = SignInSettings()
    province: ProvinceLink = ProvinceLink()
    department: dict[str, DepartmentLink] = Field(default_factory=dict)
    match: MatchSettings = MatchSettings()
    handover: HandoverSettings = HandoverSettings()
    retention: RetentionSettings = RetentionSettings()
    backup: BackupSettings = BackupSettings()
    loan_file: LoanFileSettings = LoanFileSettings()
    divisions: list[str] = Field(default_factory=list, description="a bureau's own counties, six digits each")
    townships: dict[str, str] = Field(default_factory=dict, description="their townships' names by nine digits")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a configuration file. Raises SettingsInvalid."""
        try:
            values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise SettingsInvalid("no configuration file", file=str(path), field="", reason="not found") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(str(error), file=str(path), field="", reason=str(error)) from None
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise SettingsInvalid(first["msg"], file=str(path), field=field, reason=first["msg"]) from None


def find_config(given: Path | None) -> Path:
    """``--config``, else MINGCE_CONFIG, else ./mingce.toml; a folder stands for the file in it."""
    path = given or Path(os.environ.get("MINGCE_CONFIG", CONFIG_NAME))
    return path / CONFIG_NAME if path.is_dir() else path
