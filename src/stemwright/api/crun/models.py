"""The models of crun's API that are served here: one, with two spellings. Entries are as in crun's own catalog."""

from __future__ import annotations

from typing import Any

MODEL = "suno/vocal-separatio"
"""As crun's pages, catalog and command line spell it (docs/contracts.md, section 11)."""

MODEL_NAMES = (MODEL, "suno/vocal-separation")

MODES = {"vocal": "two", "instrumental": "twelve"}
"""Stems by mode."""

INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task_id": {"type": "string", "description": "The task of the song."},
        "suno_id": {"type": "string", "description": "The song in that task."},
        "mode": {
            "type": "string",
            "enum": list(MODES),
            "default": "vocal",
            "description": "vocal: vocals and instrumental; instrumental: twelve stems.",
        },
        "audio_url": {
            "type": "string",
            "format": "uri",
            "description": "Stemwright only, in place of both ids: URL of a song, such as the file_url of files/upload-url.",
        },
    },
    "anyOf": [{"required": ["task_id", "suno_id"]}, {"required": ["audio_url"]}],
}

_ENTRY: dict[str, Any] = {
    "model_type": "audio",
    "modality": "audio",
    "operations": ["vocal-separation"],
    "quality_tier": "standard",
    "speed_tier": "balanced",
    "supports_reference": True,
    "supports_native_audio": False,
    "routing_priority": 50,
}


def list_models(modality: str | None, operation: str | None) -> dict[str, Any]:
    """The list of models, filtered by modality and operation if given."""
    fits = modality in (None, "", _ENTRY["modality"]) and operation in (None, "", *_ENTRY["operations"])
    return {"models": [{"model": MODEL, **_ENTRY}] if fits else []}


def describe_model(model: str) -> dict[str, Any]:
    """One model, in the requested spelling, with the schema of its input."""
    return {"model": model, **_ENTRY, "input_schema": INPUT_SCHEMA}
