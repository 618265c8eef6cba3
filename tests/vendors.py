"""Replies of the two vendors for tasks that make music (docs/contracts.md, sections 9 to 14)."""

from __future__ import annotations

import io
import json
import uuid
import wave
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.faults import Faults

if TYPE_CHECKING:
    from tests.stand_in import StandIn

KIE_KEY = "kie-key-of-the-operator"
CRUN_KEY = "ak_key_of_the_operator"


@dataclass(frozen=True)
class Received:
    """A request as it came; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Song:
    """One track of a vendor's task."""

    audio: bytes
    title: str = "A song"
    seconds: float = 1.0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class VendorTask:
    """A vendor's task of making music; ``songs`` is empty while it runs."""

    id: str
    songs: list[Song]


def tone(seconds: float = 1.0, rate: int = 44100) -> bytes:
    """A WAV of a quiet chord, stereo, 16 bits."""
    times = np.arange(round(seconds * rate)) / rate
    left = 0.2 * np.sin(2 * np.pi * 220 * times)
    right = 0.2 * np.sin(2 * np.pi * 330 * times)
    samples = (np.stack([left, right], axis=1) * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


class Vendors(Faults):
    """The answers of both vendors."""

    world: StandIn
    request_: Received

    def kie(self, path: str) -> None:
        if self.request_.headers.get("authorization") != f"Bearer {KIE_KEY}":
            return self.json({"code": 401, "msg": "You do not have access permissions"})
        if path in ("generate", "jobs/createTask"):
            task = self.world.add_task(Song(tone(), "First"), Song(tone(), "Second"))
            return self.enveloped({"taskId": task.id})
        if path == "generate/record-info":
            return self.enveloped(self._generated(self.request_.query.get("taskId", "")))
        if path == "jobs/recordInfo":
            known = self.world.task(self.request_.query.get("taskId", ""))
            if known is None:
                return self.json({"code": 422, "msg": "recordInfo is null", "data": None})
            return self.enveloped({"taskId": known.id, "state": "success" if known.songs else "generating"})
        if path in ("chat/credit", "generate/credit"):
            return self.enveloped(self.world.credits)
        if path == "echo":
            return self.enveloped({"body": self.request_.body.decode("latin-1"), "headers": self.request_.headers})
        return self.json({"code": 404, "msg": "Not Found", "data": None})

    def _generated(self, task_id: str) -> dict[str, Any] | None:
        task = self.world.task(task_id)
        if task is None:
            return None
        songs = [
            {
                "id": song.id,
                "audioUrl": f"{self.world.url}/audio/{song.id}.wav",
                "streamAudioUrl": f"{self.world.url}/audio/{song.id}",
                "imageUrl": f"{self.world.url}/covers/{song.id}.jpeg",
                "prompt": "[Verse] la la",
                "modelName": "chirp-v4",
                "title": song.title,
                "tags": "rock",
                "createTime": "2026-05-01 00:00:00",
                "duration": song.seconds,
            }
            for song in task.songs
        ]
        return {
            "taskId": task.id,
            "parentMusicId": "",
            "param": '{"prompt":"la"}',
            "response": {"taskId": task.id, "sunoData": songs} if songs else None,
            "status": "SUCCESS" if songs else "PENDING",
            "type": "GENERATE",
            "operationType": "generate",
            "errorCode": None,
            "errorMessage": None,
        }

    def crun(self, path: str) -> None:
        if self.request_.headers.get("x-api-key") != CRUN_KEY:
            return self.json({"code": 401, "message": "Unauthorized", "data": None}, 401)
        if path == "job/CreateTask":
            task = self.world.add_task(Song(tone(), "First"), Song(tone(), "Second"), crun=True)
            return self.json({"code": 200, "message": "success", "data": {"task_id": task.id}})
        if path == "job/TaskInfo":
            known = self.world.task(self.request_.query.get("task_id", ""))
            if known is None:
                return self.json({"code": 404, "message": "task_id not found", "data": None}, 404)
            return self.json({"code": 200, "message": "success", "data": self._made(known)})
        if path == "account/balance":
            return self.json({"code": 200, "message": "success", "data": {"balance": 1000}})
        return self.json({"code": 404, "message": "Not Found", "data": None}, 404)

    def _made(self, task: VendorTask) -> dict[str, Any]:
        songs = [
            {
                "suno_id": song.id,
                "title": song.title,
                "suno_audio_url": f"{self.world.url}/audio/{song.id}.wav",
                "suno_image_url": f"{self.world.url}/covers/{song.id}.jpeg",
                "duration": song.seconds,
            }
            for song in task.songs
        ]
        return {
            "task_id": task.id,
            "provider": "Suno",
            "model_version": "suno-music-generate",
            "status": "success" if songs else "running",
            "param": {"model": "suno/music-generate", "callback_url": None, "input": {"prompt": "la"}},
            "create_at": 1780000000,
            "result": {"code": 200, "message": "success", "suno_data": songs} if songs else None,
            "duration_s": 86 if songs else None,
            "complete_at": 1780000086 if songs else None,
            "source": "api",
        }

    def enveloped(self, data: Any) -> None:
        self.json({"code": 200, "msg": "success", "data": data})

    def json(self, body: Any, status: int = 200) -> None:
        self.send(json.dumps(body).encode(), status, {"Content-Type": "application/json;charset=UTF-8"})
