"""Parses bodies of separations and conversions to submissions (docs/contracts.md, sections 2, 5 and 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stemwright.api.kie.fields import CAMEL_CASE, FieldNames, optional_text, read_callback_url, required_text
from stemwright.api.kie.instruments import stem_for_instrument
from stemwright.service.errors import InvalidRequest, RecordMissing
from stemwright.service.ids import parse_id
from stemwright.service.ssrf_guard import check_syntax
from stemwright.service.task import WAV, Submission
from stemwright.service.task_sources import MISSING, TaskSource, TaskSources
from stemwright.settings import Settings

ADVANCED = "split_stem_advanced"
TYPES = {"separate_vocal": "two", "split_stem": "twelve", ADVANCED: "one"}


@dataclass(frozen=True)
class OrderReader:
    """Parses the bodies of one route. Finds the song in the store, or at the vendor if the operator has a key.

    Attributes:
        settings: plan and format of stems, and whether bodies are read leniently.
        sources: where songs are looked up.
        names: names of the fields on this route.
        callback_required: whether a body must have a callback URL.
    """

    settings: Settings
    sources: TaskSources
    names: FieldNames = CAMEL_CASE
    callback_required: bool = True

    def separation(self, account_id: str, body: dict[str, Any]) -> Submission:
        """The submission of a separation.

        Raises:
            InvalidRequest: a field is missing or wrong.
            RecordMissing: there is no song with these ids.
            UpstreamTimeout, SourceUnavailable: the vendor did not answer, or with an error.
        """
        kind = optional_text(body, "type") or "separate_vocal"
        if kind not in TYPES:
            raise InvalidRequest("type", f"type must be one of: {', '.join(TYPES)}")
        stems, stem_name = TYPES[kind], None
        if kind == ADVANCED:
            stem_name = required_text(body, self.names.stem_name)
            stems = stem_for_instrument(stem_name, self.names.stem_name)
        callback_url = self._callback_url(body)
        source, named = self._source(account_id, body)
        return Submission(
            face="kie",
            kind=kind,
            stems=stems,
            plan=self.settings.plan,
            format=self.settings.stem_format,
            track_id=source.track_id,
            source_url=source.url,
            song=source.song,
            callback_url=callback_url,
            request=named | {"type": kind, "stemName": stem_name, "callBackUrl": optional_text(body, "callBackUrl")},
            stem_name=stem_name,
        )

    def wav_conversion(self, account_id: str, body: dict[str, Any]) -> Submission:
        """The submission of a conversion to WAV: a song or a stem, by its ids.

        Raises:
            InvalidRequest: a field is missing or wrong.
            RecordMissing: there is no song with these ids.
            UpstreamTimeout, SourceUnavailable: the vendor did not answer, or with an error.
        """
        callback_url = self._callback_url(body)
        source, named = self._by_ids(account_id, body)
        return Submission(
            face="kie",
            kind=WAV,
            stems=WAV,
            plan="",
            format="wav",
            track_id=source.track_id,
            song=source.song,
            callback_url=callback_url,
            request=named | {"callBackUrl": optional_text(body, "callBackUrl")},
            stem_name=source.stem_name,
            audio_id=parse_id(named["audioId"]),
        )

    def _callback_url(self, body: dict[str, Any]) -> str | None:
        return read_callback_url(body, lenient=self.settings.lenient, required=self.callback_required)

    def _source(self, account_id: str, body: dict[str, Any]) -> tuple[TaskSource, dict[str, str]]:
        """The song, and the fields of the body that name it."""
        names = self.names
        audio_url = optional_text(body, names.audio_url)
        if audio_url is None:
            return self._by_ids(account_id, body)
        if optional_text(body, names.task_id) is not None or optional_text(body, names.audio_id) is not None:
            raise InvalidRequest(
                names.audio_url,
                f"{names.audio_url} replaces {names.task_id} and {names.audio_id}: send one or the other",
            )
        check_syntax(audio_url, names.audio_url)
        return self.sources.by_url(account_id, audio_url), {"audioUrl": audio_url}

    def _by_ids(self, account_id: str, body: dict[str, Any]) -> tuple[TaskSource, dict[str, str]]:
        named = {"taskId": required_text(body, self.names.task_id), "audioId": required_text(body, self.names.audio_id)}
        task_id, audio_id = parse_id(named["taskId"]), parse_id(named["audioId"])
        if task_id is None or audio_id is None:
            raise RecordMissing(MISSING)
        return self.sources.by_ids(account_id, task_id, audio_id), named
