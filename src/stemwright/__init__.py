"""Splits a finished song into its stems: vocals and instrumental, or twelve parts.

>>> import stemwright
>>> result = stemwright.separate("song.mp3", stems="twelve")  # doctest: +SKIP
>>> result.stems[0].path  # doctest: +SKIP
PosixPath('stems/song/vocals.wav')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemwright.client.asynchronous import AsyncClient
    from stemwright.client.synchronous import Client
    from stemwright.errors import StemwrightError
    from stemwright.library import separate
    from stemwright.separation.options import Options
    from stemwright.separation.progress import Progress
    from stemwright.separation.result import Result, StemResult
    from stemwright.separation.separator import Separator

__all__ = [
    "AsyncClient",
    "Client",
    "Options",
    "Progress",
    "Result",
    "Separator",
    "StemResult",
    "StemwrightError",
    "separate",
]

_HOME = {
    "AsyncClient": "stemwright.client",
    "Client": "stemwright.client",
    "Options": "stemwright.separation.options",
    "Progress": "stemwright.separation.progress",
    "Result": "stemwright.separation.result",
    "Separator": "stemwright.separation.separator",
    "StemResult": "stemwright.separation.result",
    "StemwrightError": "stemwright.errors",
    "separate": "stemwright.library",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used, so that ``import stemwright`` stays quick."""
    if name == "__version__":
        from importlib.metadata import version  # 40 ms

        return version("stemwright")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'stemwright' has no attribute '{name}'")
