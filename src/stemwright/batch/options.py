"""What a batch was begun with. All hosts and all later runs must give the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from stemwright.errors import UsageError
from stemwright.separation.options import FormatName


@dataclass(frozen=True)
class BatchOptions:
    """The options that decide what the stems are.

    Attributes:
        source: where the songs are: an absolute path, or a URL.
        stems: ``two``, ``twelve`` or names, as ``Options.stems``.
        plan: which models separate.
        format: of the files.
    """

    source: str
    stems: str
    plan: str
    format: FormatName

    def check_same(self, begun: dict[str, Any], target: str) -> None:
        """Compares with what the batch was begun with.

        Raises:
            UsageError: something differs.
        """
        differing = [
            f"{field.name} {begun.get(field.name)}, not {getattr(self, field.name)}"
            for field in fields(self)
            if begun.get(field.name) != getattr(self, field.name)
        ]
        if differing:
            raise UsageError(
                f"The batch in {target} was begun with {' and '.join(differing)}: give the same, or another DST."
            )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for the database."""
        return asdict(self)
