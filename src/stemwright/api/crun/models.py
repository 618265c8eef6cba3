"""The models that crun's face has: one, under two spellings. Its entries have the shape of crun's own catalog."""

from __future__ import annotations

from typing import Any

MODEL = "suno/vocal-separatio"
"""As crun's pages, catalog and command line spell it (docs/contracts.md, section 11)."""

MODEL_NAMES = (MODEL, "suno/vocal-separation")

MODES = {"vocal": "two", "instrumental": "twelve"}
"""The stems of each mode."""

INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task_id": {"type": "string", "description": "A finished task that made or took in a song."},
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
            "description": "In place of both ids, Stemwright's own: a song's URL, as the file_url of files/upload-url.",
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
    """The list, narrowed to a modality and an operation where they are given."""
    fits = modality in (None, "", _ENTRY["modality"]) and operation in (None, "", *_ENTRY["operations"])
    return {"models": [{"model": MODEL, **_ENTRY}] if fits else []}


def describe_model(model: str) -> dict[str, Any]:
    """One model, under the spelling that was asked for, with the schema of its input."""
    return {"model": model, **_ENTRY, "input_schema": INPUT_SCHEMA}
