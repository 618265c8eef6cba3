"""Downloads of models that an operator asks for, one after another, beside the server's requests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from stemwright.errors import CancelledError, StemwrightError
from stemwright.models import licences, registry, weight_download, weight_store
from stemwright.models.registry import Model
from stemwright.models.weight_download import DownloadProgress
from stemwright.models.weight_file import WeightFile
from stemwright.service.errors import Conflict, NotFound

DownloadState = Literal["waiting", "downloading", "failed"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelDownload:
    """A download that is not complete; ``error`` says why it failed."""

    state: DownloadState
    done_bytes: int
    error: str | None = None


class ModelDownloads:
    """Downloads of this process. Thread-safe.

    Args:
        fetch: downloads one file, and calls back with its progress; it is asked whether it is cancelled.
    """

    def __init__(self, fetch: Callable[..., object] = weight_download.download) -> None:
        self._fetch = fetch
        self._downloads: dict[str, ModelDownload] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def state(self, name: str) -> ModelDownload | None:
        """Returns the download of a model; None if there is none, or if it is complete."""
        with self._lock:
            return self._downloads.get(name)

    def start(self, name: str) -> ModelDownload:
        """Starts the download of a model in a thread. One that failed begins again where it stopped.

        Raises:
            NotFound: there is no such model.
            Conflict: it is installed, or has no address to download from.
            ModelUnavailableError: its licence is not allowed on this server.
        """
        model = next((one for one in registry.models() if one.name == name), None)
        if model is None:
            raise NotFound("There is no model of that name.")
        licences.require(model, licences.policy())
        if weight_store.is_available(model):
            raise Conflict(f"{name} is installed.")
        if not all(file.url for file in _missing(model)):
            raise Conflict(f"{name} has no address to download from: add its file again.")
        with self._lock:
            current = self._downloads.get(name)
            if current is not None and current.state != "failed":
                return current
            started = self._downloads[name] = ModelDownload("waiting", 0)
            thread = threading.Thread(target=self._run, args=(model,), name=f"download of {name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return started

    def close(self) -> None:
        """Stops the downloads; what is there of their files is kept."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _run(self, model: Model) -> None:
        done: dict[str, int] = {}

        def on_progress(progress: DownloadProgress) -> None:
            if progress.stage == "downloading":
                done[progress.name] = progress.done_bytes
                self._note(model.name, "downloading", sum(done.values()))

        with self._turn:
            try:
                folder = weight_store.weights_folder()
                for file in _missing(model):
                    self._fetch(
                        file,
                        folder,
                        model_name=model.name,
                        on_progress=on_progress,
                        is_cancelled=self._closing.is_set,
                    )
            except CancelledError:
                return
            except Exception as error:  # the operator sees the reason, and may try again
                known = isinstance(error, StemwrightError)
                if not known:
                    _log.exception("a model could not be downloaded", model=model.name)
                text = str(error) if known else "The download failed; the server's log says why. Try it again."
                self._note(model.name, "failed", sum(done.values()), text)
            else:
                with self._lock:
                    self._downloads.pop(model.name, None)
                _log.info("model downloaded", model=model.name)

    def _note(self, name: str, state: DownloadState, done_bytes: int, error: str | None = None) -> None:
        with self._lock:
            self._downloads[name] = replace(self._downloads[name], state=state, done_bytes=done_bytes, error=error)


def _missing(model: Model) -> list[WeightFile]:
    return [file for file in model.files if weight_store.find(file) is None]
