"""The registry with small networks in place of published ones, and a mirror on 127.0.0.1 that has their files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch

from stemwright.models import graph_templates, registry
from stemwright.models.graph_templates import GraphTemplate
from stemwright.models.registry import Model
from tests.http_stub import HttpStub, StubHandler
from tests.models.published import CHUNK_SAMPLES, GRAPHS, demucs_package, options, weights
from tests.models.runtimes.onnx_graphs import Graph, write_identity


class Mirror(HttpStub):
    """The server; a context manager.

    Attributes:
        folder: with the files that it has.
        asked: names of the files that were asked for, in order.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_Handler)
        self.folder = folder
        self.asked: list[str] = []


class _Handler(StubHandler):
    server: Mirror

    def answer(self) -> None:
        name = unquote(urlsplit(self.path).path).rpartition("/")[2]
        self.server.asked.append(name)
        path = self.server.folder / name
        if not path.is_file():
            self.reply(404, b"no such file", {"Content-Type": "text/plain"})
            return
        self.reply(200, path.read_bytes(), {"Content-Type": "application/octet-stream"})


@contextmanager
def small_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[Mirror]:
    """Replaces models of the registry by small networks of the same kind, whose files only the mirror has."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    small = {name: _small(registry.find(name), folder) for name in names}
    shipped = tuple(small.get(model.name, model) for model in registry.models())
    monkeypatch.setattr(registry, "_shipped", lambda: shipped)
    graphs = (GraphTemplate.read(GRAPHS, "small"),)
    monkeypatch.setattr(graph_templates, "templates", lambda: graphs)
    monkeypatch.delenv("STEMWRIGHT_OFFLINE", raising=False)
    monkeypatch.delenv("STEMWRIGHT_LICENSE", raising=False)
    with Mirror(folder) as mirror:
        monkeypatch.setenv("STEMWRIGHT_MODEL_MIRROR", mirror.url)
        yield mirror


def _small(model: Model, folder: Path) -> Model:
    """A small network with the labels of a model: of its architecture, or a graph that scales the mix."""
    (file,) = model.files
    if model.onnx is not None:
        graph = Graph(model.onnx, CHUNK_SAMPLES, len(model.labels))
        gains = [0.05 * (1 + index) for index in range(len(model.labels))]
        path = write_identity(folder, graph, gains).rename(folder / file.name)
    elif model.architecture == "htdemucs":
        path = demucs_package(folder, labels=model.labels, name=file.name)
    else:
        path = folder / file.name
        torch.save(weights(model.architecture, options(model.architecture, model.labels)), path)
    content = path.read_bytes()
    return replace(
        model,
        files=(replace(file, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),),
        options=options(model.architecture, model.labels) if model.onnx is None else {},
        chunk_samples=CHUNK_SAMPLES,
    )
