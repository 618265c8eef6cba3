"""The settings of a server as an operator may see them: no secret, no password."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from stemwright.settings import Settings

HIDDEN = "set"
"""In place of a secret that is set."""


@dataclass(frozen=True)
class VisibleSetting:
    """A setting by its variable; ``value`` is None where none is set."""

    variable: str
    value: str | None
    is_default: bool
    description: str


def visible_settings(settings: Settings) -> list[VisibleSetting]:
    """Returns all settings, in the order of docs/settings.md."""
    found = []
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        is_default = value == info.get_default(call_default_factory=True)
        variable = f"STEMWRIGHT_{name.upper()}"
        found.append(VisibleSetting(variable, _text(value), is_default, info.description or ""))
    return found


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{key} {number:g}" for key, number in value.items())
    if isinstance(value, tuple):
        return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    return _without_password(str(value))


def _without_password(text: str) -> str:
    """A URL without user, password and query, which may hold keys; other texts as they are."""
    if "://" not in text:
        return text
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
