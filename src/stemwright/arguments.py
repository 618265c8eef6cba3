"""Argument checks for public functions: convert without loss, or raise a ``UsageError`` that says what to give.

Each function takes the value and the argument name, which starts the error message.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

from stemwright.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""Types accepted as a path."""

ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,3}", re.IGNORECASE)
"""Start of a URL. ``Path`` collapses two slashes into one; one letter before the colon is a Windows drive."""


def path(value: object, name: str) -> Path:
    """Converts ``str``, ``bytes`` or anything with ``__fspath__`` to a path.

    Raises:
        UsageError: it is not a path, is empty, contains a null character, or is a URL such as ``https://…``.
    """
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    try:
        text = os.fsdecode(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} is {_shown(value)}: give a path, as text, bytes or a Path.") from error
    if not text:
        raise UsageError(f"{name} is empty: give the path of a file or folder.")
    if "\0" in text:
        raise UsageError(f"{name} contains a NUL character, which a path cannot: check the name.")
    found = Path(text)
    address = address_of(text)
    if address is not None and not os.path.lexists(found):
        raise UsageError(_no_address(address, name))
    return found


def address_of(text: str) -> str | None:
    """Returns the URL in a text, with both slashes; None if it is not a URL."""
    match = ADDRESS.match(text)
    if match is None:
        return None
    rest = text[match.end() :]
    return f"{match['scheme']}:///{rest}" if match["scheme"].lower() == "file" else f"{match['scheme']}://{rest}"


def _no_address(address: str, name: str) -> str:
    if name == "song" and address.lower().startswith(("http:", "https:", "ftp:", "ftps:")):
        return (
            f"{address} is an address, and songs are read from files: download it first and give the file, "
            f"or pipe it: curl -sL '{address}' | stemwright separate -"
        )
    if address.lower().startswith("file:"):
        return f"{name} is the address {address}: give the path alone, without file://."
    return f"{name} is the address {address}: give a file or folder on this machine."


def number(value: object, name: str, unit: str) -> float:
    """Converts a value of any numeric type, or text, to a finite number.

    Raises:
        UsageError: it is not a finite number.
    """
    wanted = f"give a number of {unit}"
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool") or getattr(value, "ndim", 0) != 0:
        raise UsageError(f"{name} is {_shown(value)}: {wanted}.")
    try:
        found = float(value)  # type: ignore[arg-type]
    except Exception as error:  # any error of the type's own conversion
        raise UsageError(f"{name} is {_shown(value)}: {wanted}.") from error
    if not math.isfinite(found):
        raise UsageError(f"{name} is {found}: {wanted}.")
    return found


def whole(value: object, name: str, unit: str, *, lowest: int, highest: int) -> int:
    """Converts a numeric value or text to an integer within limits: ``44100.0`` and ``"44100"`` are accepted.

    Raises:
        UsageError: it is not an integer, or is out of range.
    """
    try:
        found = operator.index(value)  # type: ignore[arg-type]  # exact, also beyond 2^53
    except Exception:  # any error of the type's own conversion
        found = None
    if found is None or isinstance(value, bool) or getattr(value, "ndim", 0) != 0:
        real = number(value, name, unit)
        if not real.is_integer():
            raise UsageError(f"{name} is {real:g}: give a whole number of {unit}.")
        found = int(real)
    if not lowest <= found <= highest:
        raise UsageError(f"{name} is {_shown(found)}: give {lowest} to {highest} {unit}.")
    return found


def flag(value: object, name: str) -> bool:
    """Converts True, False, NumPy booleans, 0 or 1 to a bool.

    Raises:
        UsageError: any other value. ``"no"`` would otherwise count as True.
    """
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except Exception:
        found = int(bool(value)) if type(value).__name__ in ("bool_", "bool") else -1
    if found not in (0, 1):
        raise UsageError(f"{name} is {_shown(value)}: give True or False.")
    return bool(found)


def choice(value: object, name: str, choices: Collection[str]) -> str:
    """Returns one of the choices, ignoring case; accepts objects by their ``str``, such as ``torch.device("cpu")``.

    Raises:
        UsageError: it is not one of the choices.
    """
    try:
        found = str(value).strip().lower()
    except Exception:
        found = ""
    if found not in choices:
        raise UsageError(f"{name} is {_shown(value)}: choose one of {', '.join(choices)}.")
    return found


def text(value: object, name: str) -> str:
    """Returns non-empty text.

    Raises:
        UsageError: it is not text, or is empty.
    """
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name} is {_shown(value)}: give text.")
    return str(value)


def words(value: object, name: str) -> list[str]:
    """Splits comma-separated text into words, or lists the items of another series of texts.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    wanted = "give names separated by commas, or a list of them"
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray):
        raise UsageError(f"{name} is {_shown(value)}: {wanted}.")
    try:
        found = list(value)
    except Exception as error:
        raise UsageError(f"{name} is {_shown(value)}: {wanted}.") from error
    for word in found:
        if not isinstance(word, str):
            raise UsageError(f"{name} holds {_shown(word)}: {wanted}.")
    return [str(word).strip() for word in found]


def function(value: Function | None, name: str) -> Function | None:
    """Returns a callable, or None.

    Raises:
        UsageError: it is not callable.
    """
    if value is not None and not callable(value):
        raise UsageError(f"{name} is {_shown(value)}: give a function, or None.")
    return value


def _shown(value: object) -> str:
    """Formats a value for a message: short, on one line."""
    try:
        shown = repr(value)
    except Exception:
        shown = ""
    kind = type(value).__name__
    if not shown or len(shown) > 60 or "\n" in shown or not shown.isprintable():
        return f"of type {kind}"
    return shown
