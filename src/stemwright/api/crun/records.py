"""``data`` of crun's TaskInfo, which is the body of its callback too (docs/contracts.md, sections 12 and 13)."""

from __future__ import annotations

from typing import Any

from stemwright.api.crun.models import MODEL, MODES
from stemwright.service.ids import dashed
from stemwright.service.service import Service
from stemwright.service.task import Task
from stemwright.service.tracks import Track
from stemwright.wire_names import wire_name

PROVIDER = "Suno"
MODEL_VERSION = "suno-vocal-separation"
SONG_MODEL = "suno/music-generate"
WAV_MODEL = "ai-music-api/convert-to-wav-format"
WAV_VERSION = "wav-conversion"
"""Of tasks that only kie's face takes."""

STATUSES = {
    "pending": "pending",
    "running": "running",
    "succeeded": "success",
    "failed": "failed",
    "cancelled": "failed",  # crun knows no other word for an end without stems
}

SEPARATION_FAILED = 501
SOURCE_UNAVAILABLE = 451


def credits(hundredths: int) -> int | float:
    """Credits as JSON has them: whole where they are whole."""
    return hundredths // 100 if hundredths % 100 == 0 else hundredths / 100


def task_record(service: Service, task: Task) -> dict[str, Any]:
    """A separation, whichever face it was made on."""
    began = task.created_at if task.started_at is None else task.started_at
    charged = 0 if task.state in ("failed", "cancelled") else task.price
    return {
        "task_id": dashed(task.id),
        "provider": PROVIDER,
        "model_version": WAV_VERSION if task.is_wav else MODEL_VERSION,
        "status": STATUSES[task.state],
        "param": task.request if task.face == "crun" else _param(service, task),
        "create_at": int(task.created_at),
        "result": _result(service, task),
        "duration_s": None if task.ended_at is None else max(0, round(task.ended_at - began)),
        "complete_at": None if task.ended_at is None else int(task.ended_at),
        "source": "api",
        "credits": credits(charged),
    }


def was_made_by_crun(track: Track) -> bool:
    """Whether a song was made at crun, by what was noted of it there."""
    return track.origin == "vendor" and "suno_id" in track.details


def song_record(service: Service, task_id: str, tracks: list[Track]) -> dict[str, Any]:
    """The songs of a task that crun did not make, as if it had: clients choose a ``suno_id`` from here."""
    urls = [service.links.track_url(track) if track.blob else track.url for track in tracks]
    created_at = int(min(track.created_at for track in tracks))
    return {
        "task_id": dashed(task_id),
        "provider": PROVIDER,
        "model_version": "imported",
        "status": "success",
        "param": {"model": SONG_MODEL, "callback_url": None, "input": {}},
        "create_at": created_at,
        "result": {
            "code": 200,
            "message": "success",
            "media_urls": [url for url in urls if url],
            "suno_data": [
                {
                    "suno_id": dashed(track.id),
                    "title": track.title,
                    "suno_audio_url": url,
                    "suno_image_url": None,
                    "suno_image_large_url": None,
                    "duration": track.seconds,
                }
                for track, url in zip(tracks, urls, strict=True)
            ],
        },
        "duration_s": 0,
        "complete_at": created_at,
        "source": "api",
        "credits": 0,
    }


def _param(service: Service, task: Task) -> dict[str, Any]:
    """What a client of crun's would have sent for a task of another face."""
    song: dict[str, Any] = {"audio_url": task.source_url}
    if task.source_url is None:
        track = service.tracks.get(task.account_id, task.track_id)
        song = {"task_id": dashed(track.task_id) if track else None, "suno_id": dashed(task.track_id)}
    if task.is_wav:
        return {"model": WAV_MODEL, "callback_url": task.callback_url, "input": song}
    wanted: dict[str, Any] = {"mode": "vocal" if task.stems_asked == "two" else "instrumental"}
    if task.stems_asked not in MODES.values():
        wanted["stems"] = task.stems_asked.split(",")
    return {"model": MODEL, "callback_url": task.callback_url, "input": song | wanted}


def _result(service: Service, task: Task) -> dict[str, Any] | None:
    if not task.has_ended:
        return None
    if task.state == "succeeded":
        urls = [(stem.name, service.links.stem_url(stem, task)) for stem in task.stems]
        # The keys are a guess, kie's own names, until a live page is seen (docs/contracts.md, section 12).
        keyed = {wire_name(name).snake: url for name, url in urls}
        media_info = {key: url for key, url in keyed.items() if key is not None}
        if task.is_wav:
            media_info = {"audio_wav_url": urls[0][1]}
        result: dict[str, Any] = {"code": 200, "message": "success", "media_info": media_info}
        if service.settings.lenient:
            # Against the page's words; crun's own command line saves nothing else.
            result["media_urls"] = [url for _, url in urls]
        return result
    if task.state == "cancelled":
        return {"code": SEPARATION_FAILED, "message": "The task was cancelled.", "media_info": None}
    code = SOURCE_UNAVAILABLE if task.error_code == SOURCE_UNAVAILABLE else SEPARATION_FAILED
    return {
        "code": code,
        "message": task.error_message or ("WAV conversion failed" if task.is_wav else "Vocal separation failed"),
        "media_info": None,
    }
