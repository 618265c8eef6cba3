"""What an operator may set: by flags, by ``STEMWRIGHT_*`` in the environment, or in ``settings.toml`` of the data folder.

Flags win over the environment, the environment over the file. docs/settings.md has the list.
"""

from __future__ import annotations

import base64
import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from stemwright.errors import UsageError
from stemwright.prices import DEFAULT_PRICES, in_hundredths, with_defaults

SETTINGS_FILE = "settings.toml"

SHARED_LEASE_S = 10.0

NameList = Annotated[tuple[str, ...], NoDecode]
"""Words separated by commas in the environment."""

NumberList = Annotated[tuple[float, ...], NoDecode]


class Settings(BaseSettings):
    """One object for the whole server; the field names in capitals after ``STEMWRIGHT_`` are the variables."""

    model_config = SettingsConfigDict(env_prefix="STEMWRIGHT_", extra="forbid", frozen=True)

    data: Path = Field(Path("stemwright-data"), description="Folder of the database, the files and the settings file.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        None, description="URL of this server for clients, such as https://stems.example.org; links begin with it."
    )
    trusted_proxies: NameList = Field((), description="Addresses whose X-Forwarded-* headers are believed.")
    database_url: SecretStr | None = Field(
        None, description="postgresql://USER:PASSWORD@HOST/DATABASE; default: SQLite in the data folder."
    )
    storage_url: str | None = Field(
        None,
        description="Where files are stored: s3://bucket/prefix, gs://bucket, az://container; "
        "default: a folder in the data folder.",
    )
    storage_public_url: str | None = Field(
        None, description="URL of the S3 store for clients, where it is not the endpoint that the server uses."
    )
    storage_links: Literal["redirect", "serve"] = Field(
        "redirect", description="With S3, links to files redirect to the store, or the server sends the files itself."
    )
    copies_mb: int = Field(
        4000, ge=0, description="MB of files of an object store that are kept on this machine to play and draw them."
    )

    workers: int = Field(1, ge=0, description="Worker processes; 0 where workers run elsewhere.")
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = Field(
        "auto", description="Where workers compute: auto, cpu, cuda, cuda:N or mps."
    )
    worker_queues: NameList = Field(
        ("separation", "conversion"), description="Kinds of tasks that workers take, on PostgreSQL."
    )
    worker_plans: NameList = Field(
        (),
        description="Plans and models that workers take, on PostgreSQL; default: all that are installed. For an API "
        "server: those of workers elsewhere that may be started later.",
    )
    worker_threads: int | None = Field(
        None, ge=1, description="Threads per worker; default: all cores but one, shared by the workers."
    )
    worker_memory_mb: int = Field(6000, ge=1000, description="Memory in MB above which a worker's task fails.")
    max_song_minutes: float = Field(180.0, gt=0, description="Longest song accepted, in minutes.")
    attempts: int = Field(
        3, ge=1, description="Number of times a task is started before a crash of its worker fails it."
    )
    lease_s: float = Field(
        120.0,
        gt=0,
        description="Seconds without a heartbeat after which a task is started again; on PostgreSQL 10 by default.",
    )

    copy_work_s: float = Field(
        20.0,
        ge=0,
        description="On PostgreSQL, seconds after which a task's working files are copied to the store again.",
    )

    allowed_hosts: NameList = Field((), description="Hosts that may be reached at any address, including private ones.")
    upstream_kie_key: SecretStr | None = Field(
        None, description="Your kie.ai key: turns on the look-up of songs and pass-through."
    )
    upstream_crun_key: SecretStr | None = Field(None, description="Your crun.ai key: the same.")
    upstream_kie_url: str = Field("https://api.kie.ai", description="Base URL of kie.ai.")
    upstream_crun_url: str = Field("https://api.crun.ai", description="Base URL of crun.ai.")
    upstream_timeout_s: float = Field(30.0, gt=0, description="Seconds to wait for a vendor's response.")
    webhook_key: SecretStr | None = Field(
        None, description="Signs callbacks, in the vendor's way and as Standard Webhooks."
    )

    mirror_status: bool = Field(False, description="On kie's API, the HTTP status equals the code in the body.")
    lenient: bool = Field(
        True, description="Also send fields and accept requests that no vendor documents but clients use."
    )
    dialect: Literal["kie", "sunoapi"] = Field(
        "kie", description="Which vendor's error codes and messages kie's API sends."
    )
    rate_limit: str = Field(
        "20/10", description="New tasks per account on the vendors' APIs, COUNT/SECONDS; 0: no limit."
    )
    native_rate_limit: str = Field("0", description="The same for /v1.")
    max_running: int = Field(0, ge=0, description="Unfinished tasks per account; 0: no limit.")
    event_streams: int = Field(1000, ge=0, description="Event streams that may be open at once; 0: no limit.")
    account_event_streams: int = Field(100, ge=0, description="The same per account.")
    prices: dict[str, float] = Field(DEFAULT_PRICES, description="Credits per task, by type or mode, as JSON.")
    disabled: NameList = Field((), description="Types and modes that are switched off (505).")
    stem_format: Literal["mp3", "wav", "flac", "m4a", "ogg", "opus"] = Field(
        "mp3", description="Format of stems on the vendors' APIs."
    )
    plan: str = Field("auto", description="Plan used on the vendors' APIs.")
    callback_retry_s: NumberList = Field((60, 300, 900), description="Seconds before each retry of a callback.")
    callback_timeout_s: float = Field(
        15.0, gt=0, description="Timeout of a callback in seconds; doubled for each of the first three retries."
    )
    retention_days: float = Field(14.0, gt=0, description="Days that tracks, tasks and stems are kept.")
    upload_days: float = Field(3.0, gt=0, description="Days that uploads under the vendors' paths are kept.")
    max_upload_mb: int = Field(500, ge=1, description="Largest file accepted, in MB (10^6 bytes).")
    quota_mb: int = Field(0, ge=0, description="MB of songs, uploads, stems and renderings of an account; 0: no limit.")
    fetch_timeout_s: float = Field(120.0, gt=0, description="Timeout in seconds for fetching a song by URL.")
    cache_dir: Path | None = Field(None, description="Folder for caches, which may be deleted at any time.")
    metrics: Literal["off", "key", "open"] | None = Field(
        None,
        description="Who may read /metrics: off, key (any key that may read), open; default: key, or open on loopback.",
    )
    otlp_endpoint: str | None = Field(
        None, description="Where traces are sent by OTLP, such as http://collector:4318; needs the extra otel."
    )
    share_results: bool = Field(
        False, description="Reuse the files of another account's equal task; its speed then shows that there was one."
    )
    offline: bool = Field(False, description="Connect to no other machine: no songs by URL, no callbacks, no vendor.")

    @model_validator(mode="before")
    @classmethod
    def _short_lease_on_many_machines(cls, values: dict[str, object]) -> dict[str, object]:
        """No supervisor sees a machine die, so its tasks wait for the end of their leases."""
        return {"lease_s": SHARED_LEASE_S, **values} if values.get("database_url") else values

    @field_validator("trusted_proxies", "allowed_hosts", "disabled", "worker_queues", "worker_plans", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator("callback_retry_s", mode="before")
    @classmethod
    def _split_numbers(cls, value: object) -> object:
        return tuple(float(word) for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator("upstream_kie_key", "upstream_crun_key", "webhook_key", "database_url", mode="before")
    @classmethod
    def _empty_key_as_none(cls, value: object) -> object:
        return None if value == "" else value  # as a variable that is there and empty is meant

    @field_validator("worker_queues")
    @classmethod
    def _check_queues(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= {"separation", "conversion"}:
            raise ValueError("write separation, conversion, or both with a comma")
        return value

    @field_validator("webhook_key")
    @classmethod
    def _check_webhook_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value() if value else ""
        if key.startswith("whsec_") and not _decode_base64(key.removeprefix("whsec_")):
            raise ValueError("whsec_ must be followed by the key in base64")
        return value

    @field_validator("prices", mode="after")
    @classmethod
    def _complete_prices(cls, value: dict[str, float]) -> dict[str, float]:
        return with_defaults(value)

    @field_validator("rate_limit", "native_rate_limit")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        parse_rate(value)
        return value

    @field_validator("public_url", "storage_public_url", "upstream_kie_url", "upstream_crun_url", "otlp_endpoint")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("it must begin with https:// or http://")
        return value.rstrip("/") if value else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, _settings_file(init_settings().get("data"))),
        )

    @property
    def work_folder(self) -> Path:
        """Where workers keep what they have in hand."""
        return self.data / "work"

    def price(self, kind: str) -> int:
        """Price of a type or mode in hundredths of a credit."""
        return in_hundredths(self.prices[kind])


def parse_rate(rate: str) -> tuple[int, float] | None:
    """``20/10`` as (20, 10.0); None for ``0``, no limit.

    Raises:
        ValueError: it is neither.
    """
    if rate == "0":
        return None
    try:
        count, seconds = rate.split("/")
        parsed = int(count), float(seconds)
    except ValueError as error:
        raise ValueError(f"{rate!r} is not a rate limit: write COUNT/SECONDS, such as 20/10, or 0 for none") from error
    if parsed[0] < 1 or parsed[1] <= 0:
        raise ValueError(f"{rate!r} is not a rate limit: both numbers must be above 0")
    return parsed


def read_settings(**flags: object) -> Settings:  # the one place where flags become settings; None: not given
    """The settings of this run.

    Raises:
        UsageError: a setting is unknown or has no meaning.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"][:1]).upper()
        raise UsageError(
            f"STEMWRIGHT_{name} cannot be used: {first['msg']}; docs/settings.md lists all settings."
        ) from error
    except SettingsError as error:
        name = str(error).split('"')[1].upper()
        raise UsageError(
            f"STEMWRIGHT_{name} cannot be used: it is not JSON; docs/settings.md lists all settings."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        file = _settings_file(flags.get("data"))
        raise UsageError(
            f"{file} cannot be read ({error}): correct or remove it; docs/settings.md lists all settings."
        ) from error


def _decode_base64(text: str) -> bytes | None:
    """The bytes; None if the text is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _settings_file(data: object) -> Path:
    """The settings file of the data folder that a flag names, or the environment; else that of the default folder."""
    folder = data or os.environ.get("STEMWRIGHT_DATA") or Settings.model_fields["data"].default
    return Path(str(folder)) / SETTINGS_FILE
