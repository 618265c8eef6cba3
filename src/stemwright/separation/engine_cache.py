"""Engines of models, loaded on first use and cached for further songs."""

from __future__ import annotations

import threading

from stemwright.models import registry, speed
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.engine_loading import check_runtime, load_engine
from stemwright.models.registry import Model
from stemwright.separation.mask_to_waveform_engine import MaskToWaveformEngine
from stemwright.separation.options import Device
from stemwright.separation.playing_masks import PlayingMasks
from stemwright.separation.presence_scan import PresenceScan, scan_presence
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source

SCAN_MODEL = "stemwright-12"
"""The model of the presence scan."""


class EngineCache:
    """Loads engines and keeps them: one load serves many songs."""

    def __init__(self, device: Device, threads: int) -> None:
        self.device = device
        self.threads = threads
        self._lock = threading.Lock()
        self._engines: dict[tuple[str, tuple[str, ...]], MaskEngine | WaveformEngine] = {}

    def check(self, model: Model) -> None:
        """Raises ModelUnavailableError if a model could not run even with its weights installed."""
        check_runtime(model, self.device)

    def record_time_ratio(self, model: Model, ratio: float) -> None:
        """Keeps the measured time of a model for later estimates."""
        if not model.in_wheel:
            speed.record_time_ratio(model, self.device, self.threads, ratio)

    def engine(self, model: Model, is_cancelled: IsCancelled | None = None) -> MaskEngine | WaveformEngine:
        """The engine of a model; missing weights are downloaded."""
        return self._engine(model, self.device, is_cancelled)

    def waveform_engine(
        self, model: Model, playing: tuple[str, ...] | None, is_cancelled: IsCancelled
    ) -> WaveformEngine:
        """The engine of a model as a waveform engine, for a cascade; missing weights are downloaded.

        Args:
            model: the model.
            playing: the stems that play in the song, where they are known, which masks make use of.
            is_cancelled: polled while weights are downloaded.
        """
        load = self.engine if model.kind == "waveform" else self._small_engine
        engine = load(model, is_cancelled)
        if not isinstance(engine, MaskEngine):
            return engine
        return MaskToWaveformEngine(engine if playing is None else PlayingMasks(engine, playing))

    def scan_presence(self, source: Source, is_cancelled: IsCancelled) -> PresenceScan:
        """Measures which stems play in a song."""
        engine = self._small_engine(registry.find(SCAN_MODEL), is_cancelled)
        assert isinstance(engine, MaskEngine)
        return scan_presence(source, engine, is_cancelled)

    def _small_engine(self, model: Model, is_cancelled: IsCancelled) -> MaskEngine | WaveformEngine:
        """A small engine. Its runtime may not support the requested device, which is for the large engines."""
        return self._engine(model, "auto", is_cancelled)

    def _engine(self, model: Model, device: Device, is_cancelled: IsCancelled | None) -> MaskEngine | WaveformEngine:
        key = model.name, model.stems
        with self._lock:  # threads that start at the same time share one load
            if key not in self._engines:
                self._engines[key] = load_engine(model, device=device, threads=self.threads, is_cancelled=is_cancelled)
            return self._engines[key]
