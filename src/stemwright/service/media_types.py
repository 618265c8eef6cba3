"""Media types by file name, and the types that are safe to serve to browsers."""

from __future__ import annotations

UNKNOWN = "application/octet-stream"

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "aiff": "audio/aiff",
    "aif": "audio/aiff",
    "aac": "audio/aac",
    "wma": "audio/x-ms-wma",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "zip": "application/zip",
}
"""By extension, lower case without the dot."""

_SPELLINGS = {
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-aiff": "audio/aiff",
}
_PLAYED = frozenset(MEDIA_TYPES.values())


def media_type_of(name: str) -> str:
    """Returns the media type for a file name."""
    return MEDIA_TYPES.get(name.rpartition(".")[2].lower(), UNKNOWN)


def extension_of(media_type: str | None) -> str:
    """Returns the extension for a media type; ``bin`` if unknown."""
    plain = _plain(media_type)
    return next((extension for extension, known in MEDIA_TYPES.items() if known == plain), "bin")


def served_as(media_type: str | None, name: str) -> str:
    """Returns the type to serve a client's file with: never one that a browser executes, such as HTML or SVG."""
    plain = _plain(media_type)
    return plain if plain in _PLAYED else media_type_of(name)


def _plain(media_type: str | None) -> str:
    plain = (media_type or "").partition(";")[0].strip().lower()
    return _SPELLINGS.get(plain, plain)
