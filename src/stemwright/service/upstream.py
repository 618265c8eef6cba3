"""Queries vendors with the operator's key: songs made there can be separated here under their own ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpcore
from pydantic import SecretStr

from stemwright.errors import UsageError
from stemwright.formatting import printable
from stemwright.service.errors import SourceUnavailable, UpstreamTimeout
from stemwright.service.ids import dashed, parse_id
from stemwright.service.pinned_http import USER_AGENT, send_request
from stemwright.service.ssrf_guard import MAX_URL_LENGTH, parse_url, resolve
from stemwright.service.tracks import Track, Tracks, VendorTrack
from stemwright.settings import Settings

MAX_RESPONSE_BYTES = 1_000_000
MAX_SECONDS = 1e7

VendorName = Literal["kie", "crun"]


@dataclass(frozen=True)
class Vendor:
    """A vendor for which the operator has a key."""

    name: VendorName
    url: str
    key: SecretStr

    @property
    def headers(self) -> dict[str, str]:
        """Headers with the operator's key."""
        secret = self.key.get_secret_value()
        return {"Authorization": f"Bearer {secret}"} if self.name == "kie" else {"x-api-key": secret}


def vendor(settings: Settings, name: VendorName) -> Vendor | None:
    """Returns the vendor; None if the operator has no key for it, or the server is offline.

    Raises:
        UsageError: its address in the settings is invalid.
    """
    url, key = {
        "kie": (settings.upstream_kie_url, settings.upstream_kie_key),
        "crun": (settings.upstream_crun_url, settings.upstream_crun_key),
    }[name]
    if key is None or settings.offline:
        return None
    try:
        parse_url(url)
    except ValueError as error:
        raise UsageError(f"STEMWRIGHT_UPSTREAM_{name.upper()}_URL cannot be used: {error}.") from error
    return Vendor(name, url, key)


class Upstream:
    """Looks up songs at the vendors and adds them as tracks. The audio is fetched later, through the SSRF guard."""

    def __init__(self, settings: Settings, tracks: Tracks) -> None:
        names: tuple[VendorName, ...] = ("kie", "crun")
        self._vendors = [found for name in names if (found := vendor(settings, name)) is not None]
        self._timeout_s = settings.upstream_timeout_s
        self._tracks = tracks

    def look_up(self, account_id: str, task_id: str, audio_id: str | None = None) -> Track | None:
        """Returns a song of a vendor's task, and adds all songs of that task as tracks of the account.

        Args:
            account_id: the account.
            task_id: 32 hex digits.
            audio_id: 32 hex digits; the first song, if None.

        Returns:
            The track; None if no vendor has a finished song with these ids.

        Raises:
            UpstreamTimeout: a vendor's response was late, and no other vendor has the song.
            SourceUnavailable: a vendor's response was an error, and no other vendor has the song.
        """
        failure: UpstreamTimeout | SourceUnavailable | None = None
        for vendor in self._vendors:
            try:
                songs = self._songs(vendor, task_id)
            except (UpstreamTimeout, SourceUnavailable) as error:
                failure = failure or error
                continue
            if audio_id is None and songs:
                audio_id = songs[0].audio_id
            if any(song.audio_id == audio_id for song in songs):
                noted = self._tracks.add_vendor(account_id, task_id, songs)
                return next((track for track in noted if track.id == audio_id), None)
        if failure is not None:
            raise failure
        return None

    def _songs(self, vendor: Vendor, task_id: str) -> list[VendorTrack]:
        if vendor.name == "kie":
            answer = self._request(vendor, f"/api/v1/generate/record-info?taskId={quote(task_id)}")
            listed = _nested(answer, "data", "response", "sunoData")
            return _tracks(listed, "id", "audioUrl")
        answer = self._request(vendor, f"/api/v1/client/job/TaskInfo?task_id={quote(dashed(task_id))}")
        return _tracks(_nested(answer, "data", "result", "suno_data"), "suno_id", "suno_audio_url")

    def _request(self, vendor: Vendor, path: str) -> Mapping[str, Any]:
        """Returns the response envelope; empty if the vendor does not know the task."""
        try:
            with send_request(
                "GET",
                parse_url(vendor.url + path),
                headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
                | vendor.headers,
                addresses=lambda host, port, _timeout_s: resolve(host, port),
                timeout_s=self._timeout_s,
            ) as answer:
                body = bytearray()
                for piece in answer.pieces:
                    body += piece
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise SourceUnavailable(f"The response of {vendor.name} is too long.")
                return _envelope(vendor.name, answer.status, bytes(body))
        except httpcore.TimeoutException as error:
            raise UpstreamTimeout(f"{vendor.name} did not answer in time. Please try again later.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise SourceUnavailable(f"{vendor.name} could not be reached. Please try again later.") from error


def _envelope(name: str, status: int, body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body, parse_constant=_no_number)
        json.dumps(answer, ensure_ascii=False).encode()  # must be valid Unicode, as it is stored and sent on
    except (ValueError, RecursionError):
        answer = None
    code = answer.get("code", status) if isinstance(answer, dict) else status
    code = status if status != 200 else code
    if code in (404, 422):  # vendors' codes for an unknown task
        return {}
    if code != 200 or not isinstance(answer, dict):
        raise SourceUnavailable(f"{name} could not look up the song (code {code}). Please try again later.")
    return answer


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a number in JSON")


def _nested(answer: object, *keys: str) -> object:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, Mapping) else None
    return answer


def _tracks(listed: object, id_key: str, url_key: str) -> list[VendorTrack]:
    """Returns the finished songs in a vendor's list, in order; entries without id or audio are skipped."""
    found = []
    for position, song in enumerate(listed if isinstance(listed, list) else []):
        audio_id, url = parse_id(_nested(song, id_key)), _nested(song, url_key)
        if audio_id is None or not isinstance(url, str) or not 0 < len(url) <= MAX_URL_LENGTH:
            continue
        title, seconds = _nested(song, "title"), _nested(song, "duration")
        found.append(
            VendorTrack(
                audio_id=audio_id,
                url=url,
                title=printable(title[:200]) if isinstance(title, str) and title else "song",
                position=position,
                seconds=float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < MAX_SECONDS else None,
                details=dict(song),
            )
        )
    return found
