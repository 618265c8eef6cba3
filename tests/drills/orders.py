"""Orders as clients of the three faces send them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

Order = Literal["twelve", "two", "split_stem", "vocal"]
"""``twelve`` and ``two`` are WAV on our own face, ``split_stem`` is kie's and ``vocal`` is crun's, both MP3."""

ORDERS: tuple[Order, ...] = ("twelve", "two", "split_stem", "vocal")


@dataclass(frozen=True)
class Song:
    """An uploaded song, by the ids that all faces take."""

    task_id: str
    audio_id: str


def upload(client: httpx.Client, path: Path) -> Song:
    """Sends a song that must be taken."""
    return uploaded(send_song(client, path))


def send_song(client: httpx.Client, path: Path) -> httpx.Response:
    """Sends a song."""
    with path.open("rb") as file:
        return client.post("/v1/tracks", files={"file": (path.name, file)})


def uploaded(answer: httpx.Response) -> Song:
    """The ids in the answer to a song that was taken."""
    assert answer.status_code == 201, answer.text
    return Song(answer.json()["task_id"], answer.json()["audio_id"])


def send(client: httpx.Client, order: Order, song: Song, hook: str, key: str | None = None) -> httpx.Response:
    """Sends an order; the key is that by which our own face knows a repetition."""
    if order == "split_stem":
        ids = {"taskId": song.task_id, "audioId": song.audio_id}
        return client.post("/api/v1/vocal-removal/generate", json=ids | {"type": order, "callBackUrl": hook})
    if order == "vocal":
        asked = {"task_id": song.task_id, "suno_id": song.audio_id, "mode": order}
        body = {"model": "suno/vocal-separation", "callback_url": hook, "input": asked}
        return client.post("/api/v1/client/job/CreateTask", json=body)
    body = {"track_id": song.audio_id, "stems": order, "callback_url": hook}
    return client.post("/v1/separations", json=body, headers={"Idempotency-Key": key} if key else {})


def accepted(answer: httpx.Response) -> str:
    """The id in the answer to an order that was taken, as 32 hex digits."""
    body: dict[str, Any] = answer.json()
    data = body.get("data") or body
    found = data.get("taskId") or data.get("task_id") or data.get("id")
    assert answer.status_code in (200, 201) and isinstance(found, str), answer.text
    return found.replace("-", "")


def submit(client: httpx.Client, order: Order, song: Song, hook: str) -> str:
    """Sends an order that must be taken; gives the task's id."""
    return accepted(send(client, order, song, hook))


def send_half(url: str, key: str, path: str, song: Path, ends: threading.Event) -> httpx.Response | None:
    """Begins to send a song, waits, and sends the rest; gives None where the server was gone.

    Args:
        path: of ``/v1/tracks``, or of kie's upload of a form.
        ends: set when the rest is to be sent.
    """
    content = song.read_bytes()
    fields = {"uploadPath": "drills", "fileName": "song.wav"} if path.startswith("/api") else {}
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=240) as client:
        form = client.build_request("POST", path, data=fields, files={"file": ("song.wav", content, "audio/wav")})
        body = form.read()

        def pieces() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            ends.wait()
            yield body[len(body) // 2 :]

        headers = {"Content-Type": form.headers["Content-Type"], "Content-Length": str(len(body))}
        try:
            return client.post(path, content=pieces(), headers=headers)
        except httpx.TransportError:
            return None
