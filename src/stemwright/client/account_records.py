"""Objects of the API that belong to an account: credits, keys, usage, deliveries. Unknown fields are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from stemwright.client.records import read_record

Scope = Literal["read", "write", "operator"]


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver a callback: ``pending``, ``delivered``, ``failed``, ``blocked`` or ``dead``."""

    id: str
    attempt: int
    state: str
    due_at: datetime
    attempted_at: datetime | None
    status_code: int | None
    error: str | None


@dataclass(frozen=True)
class AccountDelivery(Delivery):
    """An attempt with its separation and the URL that it goes to."""

    separation_id: str
    callback_url: str


@dataclass(frozen=True)
class Credits:
    """What the account has; None where it pays for nothing. ``price`` is that of one separation."""

    metered: bool
    credits: float | None
    price: float


@dataclass(frozen=True)
class UsedKey:
    """The key that the client sends; ``hint`` is its first characters."""

    id: str
    name: str
    hint: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Storage:
    """Storage that an account uses; ``limit_bytes`` is None without a quota."""

    used_bytes: int
    limit_bytes: int | None


@dataclass(frozen=True)
class Account:
    """The account that the key belongs to."""

    name: str
    key: UsedKey
    storage: Storage
    retention_days: float
    max_upload_bytes: int
    server_url: str


@dataclass(frozen=True)
class Key(UsedKey):
    """A key of the account; its limits are None where those of the server hold."""

    rate_limit: str | None
    max_running: int | None
    created_at: datetime


@dataclass(frozen=True)
class NewKey(Key):
    """A new key with its secret, which the server does not show again."""

    key: str


@dataclass(frozen=True)
class DayUsage:
    """One day in UTC: credits charged less those given back, separations, and seconds of their songs."""

    day: date
    credits: float
    separations: int
    seconds: float


def read_delivery(facts: dict[str, Any]) -> Delivery:
    """A delivery as the server writes it."""
    return read_record(Delivery, facts)


def read_credits(facts: dict[str, Any]) -> Credits:
    """Credits as the server writes them."""
    return read_record(Credits, facts)


def read_account(facts: dict[str, Any]) -> Account:
    """An account as the server writes it."""
    parts = {"key": read_record(UsedKey, facts["key"]), "storage": read_record(Storage, facts["storage"])}
    return read_record(Account, {**facts, **parts})
