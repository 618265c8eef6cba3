"""What clients are told of a failed task: one sentence, without paths or faults of this server."""

from __future__ import annotations

from pathlib import Path

from stemwright.errors import ModelUnavailableError, StemwrightError, StorageError
from stemwright.jobs.handler import FailureReason

SEPARATION_FAILED = 501
"""Error code of a failed separation."""

MESSAGES: dict[FailureReason, str] = {
    "crashes": "The separation of this song crashed too often; try another file of the same song.",
    "memory": "This song needs more memory than the server allows; try a shorter one, or another file of the same song.",
    "stall": "The separation of this song made no progress and was stopped; try another file of the same song.",
}
"""For tasks that the worker gave up."""


def reason_message(reason: FailureReason, *, is_wav: bool) -> str:
    """The message for a task that the worker gave up."""
    message = MESSAGES[reason]
    return message.replace("The separation", "The conversion") if is_wav else message


def error_message(error: StemwrightError, song: Path, data: Path) -> str:
    """The message for an error.

    Args:
        error: the error; its text may have paths.
        song: path of the song, which becomes "the song".
        data: data folder; a text that has other paths in it is replaced.
    """
    if isinstance(error, StorageError):
        return "The server has no room for this song at the moment; try again later."
    if isinstance(error, ModelUnavailableError):
        return (
            "The server does not have the models of this plan at the moment; choose another plan, or try again later."
        )
    text = str(error).replace(str(song), "the song")
    if str(data) in text or str(data.resolve()) in text:
        return "The task failed in the server; try another file of the same song."
    return text[:1].upper() + text[1:]
