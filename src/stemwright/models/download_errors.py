"""Why a weight file does not come from a URL: in words, and as one word for tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stemwright.models.weight_file import WeightFile

Kind = Literal[
    "busy", "digest differs", "forbidden", "gone", "needs login", "other file", "refused", "unreachable", "web page"
]
"""What is wrong, in one or two words."""

LATER = "try again later"
"""The remedy where nothing better is known."""


class DownloadFault(Exception):
    """A file did not come from a URL.

    Attributes:
        kind: what is wrong.
        remedy: what helps, a clause that begins with a verb.
    """

    def __init__(self, reason: str, kind: Kind, remedy: str = LATER) -> None:
        super().__init__(reason)
        self.kind = kind
        self.remedy = remedy


class TransientError(DownloadFault):
    """A retry may succeed. ``wait_s``: seconds to wait, as the server asks."""

    def __init__(
        self, reason: str, kind: Kind = "unreachable", remedy: str = LATER, wait_s: float | None = None
    ) -> None:
        super().__init__(reason, kind, remedy)
        self.wait_s = wait_s


class FileChangedError(TransientError):
    """The file on the server has changed, so the partial file cannot be resumed. A retry need not wait."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "other file", wait_s=0.0)


class PermanentError(DownloadFault):
    """The file is not available from this URL; do not retry."""

    def __init__(self, reason: str, kind: Kind = "refused", remedy: str = LATER) -> None:
        super().__init__(reason, kind, remedy)


def digest_differs(file: WeightFile, found: str, model_name: str) -> PermanentError:
    """The error for a file whose digest is not that of the registry.

    Args:
        file: as in the registry.
        found: the digest that it has.
        model_name: model that it belongs to; empty if that is not known.
    """
    if file.registry_sha256:
        wanted = f"you accepted {file.sha256}"
    else:
        wanted = f"the registry has {file.sha256}"
        wanted += f" ({file.digest_origin})" if file.digest_origin else ""
    reason = f"its SHA-256 there is {found} where {wanted}, so its author may have replaced it"
    if model_name:
        command = f"`stemwright models download {model_name} --accept-digest {found}`"
        return PermanentError(reason, "digest differs", f"if you trust what is there now, accept it with {command}")
    return PermanentError(reason, "digest differs", "see on the model's page what its author says of it")


def remedy(faults: Sequence[DownloadFault]) -> str:
    """The remedy that says most: how to accept a digest, or else the first that is more than to try again."""
    ordered = sorted(faults, key=lambda fault: fault.kind != "digest differs")
    return next((fault.remedy for fault in ordered if fault.remedy != LATER), LATER)
