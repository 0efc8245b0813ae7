"""``mingce.toml``: one file for each party, in the folder that holds its state.

Paths in it are relative to that folder. Every setting can be overridden by an environment variable
``MINGCE_<SECTION>__<NAME>`` (pydantic-settings).
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

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


class DatasetSettings(Section):
    """One list that a sender publishes."""

    title: str = "基础名单库"
    source: Path | None = Field(None, description="the file that the nightly refresh reads")
    duplicates: Literal["first", "last"] = Field(
        "last", description="which row of an ID number that stands twice is kept"
    )
    shrink_limit: float = Field(
        0.2, ge=0, le=1, description="a refresh stops when more than this share of the rows is gone"
    )
    label_width: int = Field(64, ge=8, le=4096, description="bytes of a label; fixed for the life of an epoch")
    bucket: int = Field(1024, ge=1, description="slices are padded to a multiple of this many rows")
    columns: dict[str, str | list[str]] = Field(default_factory=dict, description="our field = the file's heading(s)")


class ServeSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(8443, ge=0, le=65535)
    workers: int = Field(2, ge=1, description="evaluations at the same time")


class ProvinceLink(Section):
    """How a bank reaches the province."""

    url: str = "http://127.0.0.1:8443"
    identity: Path = Path("province.identity.json")
    ca_file: Path | None = None
    proxy: str | None = None
    timeout_s: float = Field(60, gt=0)
    allow_plain_http: bool = Field(False, description="http beyond loopback; only behind a tunnel that you trust")


class MatchSettings(Section):
    dataset: str = "base"
    divisions: list[str] = Field(default_factory=list, description="the slices to look in, six digits each")
    duplicates: Literal["first", "last"] = "last"
    purpose: str = "扩中家庭名单匹配"
    legal_basis: str = "个人信息保护法第十三条；客户单独同意"
    columns: dict[str, str | list[str]] = Field(default_factory=dict)


class HandoverSettings(Section):
    bureau: Path | None = Field(None, description="the bureau's identity file")


class Settings(BaseSettings):
    """Everything that can be set, for all three parties; each uses its own sections."""

    model_config = SettingsConfigDict(env_prefix="MINGCE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    party: Literal["province", "bank", "bureau"]
    name: str
    keys: KeySettings = KeySettings()
    dataset: dict[str, DatasetSettings] = Field(default_factory=dict)
    serve: ServeSettings = ServeSettings()
    province: ProvinceLink = ProvinceLink()
    match: MatchSettings = MatchSettings()
    handover: HandoverSettings = HandoverSettings()
    divisions: list[str] = Field(default_factory=list, description="a bureau's own counties, six digits each")

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
