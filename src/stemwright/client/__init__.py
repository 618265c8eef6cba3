"""A typed client of a Stemwright server, sync and async.

>>> from stemwright.client import Client
>>> with Client("http://127.0.0.1:8000", key="sw_…") as client:  # doctest: +SKIP
...     separation = client.wait(client.separate("song.mp3", stems="twelve"))
...     client.download(separation, "stems")
"""

from __future__ import annotations

try:
    import httpx  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError("stemwright.Client needs httpx: pip install 'stemwright[server]'.") from error

from stemwright.client.account_records import Account, AccountDelivery, Credits, DayUsage, Delivery, Key, NewKey
from stemwright.client.asynchronous import AsyncClient
from stemwright.client.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    CreditsInsufficientError,
    FieldError,
    InvalidRequestError,
    NotFoundError,
    RenderingFailedError,
    SeparationFailedError,
    ServerError,
    TooManyRequestsError,
    UnreachableError,
    WaitTimeoutError,
)
from stemwright.client.operator_records import Model, OperatorTask, Overview, Setting, ThroughputStep
from stemwright.client.records import Plan, Separation, Stem, Track
from stemwright.client.rendering_calls import Rendering
from stemwright.client.result_calls import Spectrogram, SpectrogramLevel
from stemwright.client.synchronous import Client

__all__ = [
    "Account",
    "AccountDelivery",
    "ApiError",
    "AsyncClient",
    "AuthenticationError",
    "Client",
    "ConflictError",
    "Credits",
    "CreditsInsufficientError",
    "DayUsage",
    "Delivery",
    "FieldError",
    "InvalidRequestError",
    "Key",
    "Model",
    "NewKey",
    "NotFoundError",
    "OperatorTask",
    "Overview",
    "Plan",
    "Rendering",
    "RenderingFailedError",
    "Separation",
    "SeparationFailedError",
    "ServerError",
    "Setting",
    "Spectrogram",
    "SpectrogramLevel",
    "Stem",
    "ThroughputStep",
    "TooManyRequestsError",
    "Track",
    "UnreachableError",
    "WaitTimeoutError",
]
