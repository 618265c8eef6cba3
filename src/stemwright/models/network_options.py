"""Options of a network from plain data, where tuples are lists and numbers may have the wrong type."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeVar

from stemwright.errors import ModelUnavailableError

OptionsType = TypeVar("OptionsType")


def make_options(kind: type[OptionsType], table: Mapping[str, object], source: str) -> OptionsType:
    """Creates the options of a network from a table.

    Args:
        kind: the dataclass of the options.
        table: name of each option to its value; options with a default may be missing.
        source: origin of the table, for error messages.

    Raises:
        ModelUnavailableError: an option is unknown, missing or has the wrong type, or options contradict each other;
            the error names the first one.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in hints:
            raise ModelUnavailableError(f"{source} sets '{name}', which its network does not support; remove it.")
        values[name] = tuple(value) if isinstance(value, list) else value
        if not _fits(values[name], hints[name]):
            raise ModelUnavailableError(f"{source} sets '{name}' to {value!r}, which is invalid; correct it.")
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in values and field.default is dataclasses.MISSING:
            raise ModelUnavailableError(f"{source} does not set '{field.name}', which its network needs; add it.")
    try:
        return kind(**values)
    except ValueError as error:
        raise ModelUnavailableError(f"{source} describes an invalid network: {str(error).rstrip('.')}.") from error


def _fits(value: object, hint: Any) -> bool:
    """Whether a value matches a type annotation. An integer is also a float, but a boolean is not a number."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint is bool or not isinstance(value, bool):
        return isinstance(value, (int, float, Fraction) if hint in (float, Fraction) else hint)
    return False
