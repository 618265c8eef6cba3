"""A session of ONNX Runtime that survives a fork."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError
from stemwright.models.runtimes.onnx_providers import Provider


class OnnxSession:
    """A loaded graph.

    Args:
        graph: path of the file, or its content.
        label: what it is called in error messages.
        providers: execution providers, the preferred one first.
        threads: CPU threads.
        keeps_memory: keep the memory of a run for the next one. It is a tenth faster, but takes the largest sum of all
            sizes ever in use; a large network gives it back after each run.
        weights: reads the weights of a graph that has only their names; they are copied into the session.

    Raises:
        ModelUnavailableError: ONNX Runtime cannot load the graph.
    """

    def __init__(
        self,
        graph: Path | bytes,
        label: str,
        *,
        providers: Sequence[Provider],
        threads: int,
        keeps_memory: bool = True,
        weights: Callable[[], Mapping[str, NDArray[Any]]] | None = None,
    ) -> None:
        self._graph = graph
        self._label = label
        self._providers = providers
        self._threads = threads
        self._keeps_memory = keeps_memory
        self._weights = weights
        self._loading = threading.Lock()
        self._session: Any = self._load()
        _SESSIONS.add(self)

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata that the file states."""
        return dict(self.loaded().get_modelmeta().custom_metadata_map)

    def loaded(self) -> Any:
        """The ``onnxruntime.InferenceSession``; after a fork it is loaded again."""
        with self._loading:
            if self._session is None:
                self._session = self._load()
            return self._session

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All outputs of the graph by name.

        Raises:
            ModelUnavailableError: the graph fails on these inputs.
        """
        session = self.loaded()
        names = [output.name for output in session.get_outputs()]
        try:
            outputs = session.run(names, dict(inputs))
        except Exception as error:  # the runtime's errors have no other common base class
            raise self._failure(error) from error
        return {name: np.asarray(output) for name, output in zip(names, outputs, strict=True)}

    def reset(self) -> None:
        """After a fork: the session's threads only exist in the parent, so the session is loaded again when needed.

        Deleting the old session would wait for those threads for ever, so it is kept until the process ends.
        """
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._session = None
        self._loading = threading.Lock()

    def _load(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Memory patterns take 62 MB more after the first run of the network in the wheel, and are not faster.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = self._keeps_memory
        arrays = self._weights() if self._weights is not None else {}
        if arrays:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
            options.add_external_initializers(list(arrays), values)
        graph = self._graph if isinstance(self._graph, bytes) else str(self._graph)
        try:
            return onnxruntime.InferenceSession(
                graph,
                options,
                providers=[provider.name for provider in self._providers],
                provider_options=[dict(provider.options) for provider in self._providers],
            )
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ModelUnavailableError:
        import onnxruntime

        return ModelUnavailableError(f"ONNX Runtime {onnxruntime.__version__} cannot run {self._label}: {error}")


_SESSIONS: WeakSet[OnnxSession] = WeakSet()


def _reset_sessions() -> None:
    for session in list(_SESSIONS):
        session.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_sessions)
