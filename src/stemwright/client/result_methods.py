"""The methods of both clients for what the server makes of a separation: files, and what a player plays and draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from stemwright import arguments
from stemwright.arguments import AnyPath
from stemwright.client import result_calls
from stemwright.client.calls import Call, Value
from stemwright.client.records import Separation
from stemwright.client.result_calls import SINGING, Spectrogram


class ResultMethods(ABC):
    """What the client gets of a separation that has succeeded. ``stem`` is a name; None is the song.

    ``speed`` and ``semitones`` ask for a rendering that ``render`` has made.
    """

    @abstractmethod
    def _do(self, call: Call[Value]) -> Value: ...

    @abstractmethod
    def _bytes(self, path: str) -> bytes: ...

    @abstractmethod
    def _save(self, path: str, file: Path) -> Path: ...

    def download_zip(
        self, separation: Separation | UUID | str, path: AnyPath, *, speed: float = 1.0, semitones: float = 0.0
    ) -> Path:
        """Downloads all stems as one ZIP file; raises StorageError too, as all downloads do."""
        return self._save(result_calls.zip_path(separation, speed, semitones), arguments.path(path, "path"))

    def download_daw_set(
        self, separation: Separation | UUID | str, path: AnyPath, *, speed: float = 1.0, semitones: float = 0.0
    ) -> Path:
        """Downloads a ZIP file of broadcast WAVs of one length, and a REAPER project that opens them."""
        return self._save(result_calls.daw_set_path(separation, speed, semitones), arguments.path(path, "path"))

    def download_mixdown(
        self,
        separation: Separation | UUID | str,
        path: AnyPath,
        *,
        gains: Mapping[str, float] | None = None,
        pans: Mapping[str, float] | None = None,
        master: float = 1.0,
        speed: float = 1.0,
        semitones: float = 0.0,
    ) -> Path:
        """Downloads the stems mixed to one WAV file of 32-bit floats.

        Args:
            separation: it, or its id.
            path: of the file.
            gains: factors from 0 to 4 by the names of stems; the others are at 1.
            pans: places from -1, left, to 1, right.
            master: a factor for all.
            speed: of a rendering; semitones: its key.
        """
        wanted = result_calls.mixdown_path(separation, gains or {}, pans or {}, master, speed, semitones)
        return self._save(wanted, arguments.path(path, "path"))

    def download_karaoke(self, separation: Separation, path: AnyPath) -> Path:
        """Downloads all but the singing as one WAV file."""
        gains = {stem.name: 0.0 for stem in separation.stems if stem.name in SINGING}
        return self.download_mixdown(separation, path, gains=gains)

    def download_stem_file(
        self,
        separation: Separation | UUID | str,
        path: AnyPath,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        lossless: bool = False,
    ) -> Path:
        """Downloads the mix and four groups as one ``.stem.mp4`` (Native Instruments' Stems).

        Args:
            separation: it, or its id.
            path: of the file.
            groups: four names, with the stems of each; None: Drums, Bass, Other, Vocals.
            lossless: ALAC in place of AAC.
        """
        wanted = result_calls.stem_file_path(separation, groups or {}, lossless=lossless)
        return self._save(wanted, arguments.path(path, "path"))

    def peaks(
        self,
        separation: Separation | UUID | str,
        stem: str | None = None,
        *,
        speed: float = 1.0,
        semitones: float = 0.0,
    ) -> bytes:
        """The peaks file of a stem, to draw its waveform; docs/api.md has its format."""
        return self._bytes(result_calls.peaks_path(separation, stem, speed, semitones))

    def segment(
        self,
        separation: Separation | UUID | str,
        number: int,
        stem: str | None = None,
        *,
        speed: float = 1.0,
        semitones: float = 0.0,
        short: bool = False,
    ) -> bytes:
        """Five seconds of a stem as a FLAC file, or as WAV where it exceeds full scale; they abut to the sample.

        ``short``: one second, and ``number`` counts such seconds.
        """
        return self._bytes(result_calls.segment_path(separation, stem, number, speed, semitones, short=short))

    def spectrogram(
        self, separation: Separation | UUID | str, stem: str | None = None, *, taken: bool = False
    ) -> Spectrogram:
        """How the tiles of a spectrogram lie; ``taken``: of what the stem took of the song."""
        path = result_calls.spectrogram_path(separation, stem, taken=taken)
        return self._do(result_calls.spectrogram(path))

    def spectrogram_tile(
        self,
        separation: Separation | UUID | str,
        level: int,
        number: int,
        stem: str | None = None,
        *,
        taken: bool = False,
    ) -> bytes:
        """A tile of a spectrogram as PNG."""
        path = result_calls.spectrogram_path(separation, stem, taken=taken)
        return self._bytes(result_calls.tile_path(path, level, number))


class AsyncResultMethods(ABC):
    """What the client gets of a separation that has succeeded. ``stem`` is a name; None is the song.

    ``speed`` and ``semitones`` ask for a rendering that ``render`` has made.
    """

    @abstractmethod
    async def _do(self, call: Call[Value]) -> Value: ...

    @abstractmethod
    async def _bytes(self, path: str) -> bytes: ...

    @abstractmethod
    async def _save(self, path: str, file: Path) -> Path: ...

    async def download_zip(
        self, separation: Separation | UUID | str, path: AnyPath, *, speed: float = 1.0, semitones: float = 0.0
    ) -> Path:
        """Downloads all stems as one ZIP file; raises StorageError too, as all downloads do."""
        return await self._save(result_calls.zip_path(separation, speed, semitones), arguments.path(path, "path"))

    async def download_daw_set(
        self, separation: Separation | UUID | str, path: AnyPath, *, speed: float = 1.0, semitones: float = 0.0
    ) -> Path:
        """Downloads a ZIP file of broadcast WAVs of one length, and a REAPER project that opens them."""
        return await self._save(result_calls.daw_set_path(separation, speed, semitones), arguments.path(path, "path"))

    async def download_mixdown(
        self,
        separation: Separation | UUID | str,
        path: AnyPath,
        *,
        gains: Mapping[str, float] | None = None,
        pans: Mapping[str, float] | None = None,
        master: float = 1.0,
        speed: float = 1.0,
        semitones: float = 0.0,
    ) -> Path:
        """Downloads the stems mixed to one WAV file of 32-bit floats.

        Args:
            separation: it, or its id.
            path: of the file.
            gains: factors from 0 to 4 by the names of stems; the others are at 1.
            pans: places from -1, left, to 1, right.
            master: a factor for all.
            speed: of a rendering; semitones: its key.
        """
        wanted = result_calls.mixdown_path(separation, gains or {}, pans or {}, master, speed, semitones)
        return await self._save(wanted, arguments.path(path, "path"))

    async def download_karaoke(self, separation: Separation, path: AnyPath) -> Path:
        """Downloads all but the singing as one WAV file."""
        gains = {stem.name: 0.0 for stem in separation.stems if stem.name in SINGING}
        return await self.download_mixdown(separation, path, gains=gains)

    async def download_stem_file(
        self,
        separation: Separation | UUID | str,
        path: AnyPath,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        lossless: bool = False,
    ) -> Path:
        """Downloads the mix and four groups as one ``.stem.mp4`` (Native Instruments' Stems).

        Args:
            separation: it, or its id.
            path: of the file.
            groups: four names, with the stems of each; None: Drums, Bass, Other, Vocals.
            lossless: ALAC in place of AAC.
        """
        wanted = result_calls.stem_file_path(separation, groups or {}, lossless=lossless)
        return await self._save(wanted, arguments.path(path, "path"))

    async def peaks(
        self,
        separation: Separation | UUID | str,
        stem: str | None = None,
        *,
        speed: float = 1.0,
        semitones: float = 0.0,
    ) -> bytes:
        """The peaks file of a stem, to draw its waveform; docs/api.md has its format."""
        return await self._bytes(result_calls.peaks_path(separation, stem, speed, semitones))

    async def segment(
        self,
        separation: Separation | UUID | str,
        number: int,
        stem: str | None = None,
        *,
        speed: float = 1.0,
        semitones: float = 0.0,
        short: bool = False,
    ) -> bytes:
        """Five seconds of a stem as a FLAC file, or as WAV where it exceeds full scale; they abut to the sample.

        ``short``: one second, and ``number`` counts such seconds.
        """
        return await self._bytes(result_calls.segment_path(separation, stem, number, speed, semitones, short=short))

    async def spectrogram(
        self, separation: Separation | UUID | str, stem: str | None = None, *, taken: bool = False
    ) -> Spectrogram:
        """How the tiles of a spectrogram lie; ``taken``: of what the stem took of the song."""
        path = result_calls.spectrogram_path(separation, stem, taken=taken)
        return await self._do(result_calls.spectrogram(path))

    async def spectrogram_tile(
        self,
        separation: Separation | UUID | str,
        level: int,
        number: int,
        stem: str | None = None,
        *,
        taken: bool = False,
    ) -> bytes:
        """A tile of a spectrogram as PNG."""
        path = result_calls.spectrogram_path(separation, stem, taken=taken)
        return await self._bytes(result_calls.tile_path(path, level, number))
