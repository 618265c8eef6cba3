"""Licences of weights, and the setting that allows only permissive ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from stemwright.errors import ModelUnavailableError, UsageError

if TYPE_CHECKING:
    from stemwright.models.registry import Model

Policy = Literal["any", "permissive"]

PERMISSIVE = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT"}
    | {"MIT-0", "Unlicense", "WTFPL", "Zlib"}
)
"""SPDX identifiers of licences that allow any use, including commercial, with attribution at most."""

UNSTATED = "unstated"
"""Licence of weights whose publisher states none clearly."""


def is_permissive(model: Model) -> bool:
    """Whether the licence of a model's weights allows any use. An unstated licence does not."""
    return model.licence in PERMISSIVE


def policy(requested: str | None = None) -> Policy:
    """The requested policy, or ``STEMWRIGHT_LICENSE``, or ``any``.

    Raises:
        UsageError: it is neither ``any`` nor ``permissive``.
    """
    named = requested or os.environ.get("STEMWRIGHT_LICENSE") or "any"
    if named == "any":
        return "any"
    if named == "permissive":
        return "permissive"
    where = "--license" if requested else "STEMWRIGHT_LICENSE"
    raise UsageError(f"{where} is '{named}'; set it to any or to permissive.")


def require(model: Model, policy: Policy) -> None:
    """Checks a model's licence against the policy.

    Raises:
        ModelUnavailableError: the policy is ``permissive`` and the weights' licence is not.
    """
    if policy == "permissive" and not is_permissive(model):
        raise ModelUnavailableError(
            f"The licence of {model.name}'s weights is {model.licence}, which --license permissive does not allow; "
            "choose another model, or allow any licence."
        )
