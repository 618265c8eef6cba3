"""Every setting and every command that the files in ``deploy/`` name exists."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from dockerfile_parse import DockerfileParser

from stemwright.cli.app import app
from stemwright.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())

OF_MODELS = {"STEMWRIGHT_MODELS_DIR", "STEMWRIGHT_MODEL_MIRROR", "STEMWRIGHT_LICENSE", "STEMWRIGHT_PRECISION"}
"""Variables that are no settings of the server (docs/models.md)."""

SETTINGS = {f"STEMWRIGHT_{name.upper()}" for name in Settings.model_fields} | OF_MODELS


def documents(pattern: str) -> Iterator[dict[str, Any]]:
    """The YAML documents of files."""
    for path in sorted(DEPLOY.glob(pattern)):
        yield from (document for document in yaml.safe_load_all(path.read_text()) if document)


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers of a Kubernetes object."""
    template = document.get("spec", {}).get("template", {}).get("spec", {})
    return [*template.get("initContainers", []), *template.get("containers", [])]


def containerfile() -> list[dict[str, Any]]:
    """The instructions of the Containerfile, in order."""
    content = io.BytesIO((DEPLOY / "Containerfile").read_bytes())
    return [dict(step) for step in DockerfileParser(fileobj=content).structure]  # type: ignore[arg-type]  # it takes bytes


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ``stemwright``, without its first word, and where it is."""
    for document in documents("kubernetes/*.yaml"):
        for container in containers(document):
            yield f"kubernetes {document['metadata']['name']}", [str(word) for word in container["args"]]
    for name, service in next(documents("compose.yaml"))["services"].items():
        if str(service["image"]).startswith("stemwright"):
            yield f"compose {name}", [str(word) for word in service["command"]]
    for path in sorted(DEPLOY.glob("systemd/*.service")):
        (line,) = re.findall(r"^ExecStart=/opt/stemwright/bin/stemwright (.*)$", path.read_text(), re.MULTILINE)
        yield path.name, shlex.split(line.replace("%i", "1"))
    for path in FILES:  # those that comments tell to run
        for line in re.findall(r"^#.*\bstemwright ((?:[a-z-]+ ?)+.*)$", path.read_text(), re.MULTILINE):
            words = shlex.split(line, comments=True)
            if words[0] in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
                yield path.name, words
    (command,) = [step["value"] for step in containerfile() if step["instruction"] == "CMD"]
    yield "Containerfile", yaml.safe_load(command)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_setting_exists(path: Path) -> None:
    assert set(re.findall(r"\bSTEMWRIGHT_[A-Z_]+\b", path.read_text())) - SETTINGS == set()


@pytest.mark.parametrize(("where", "words"), list(commands()))
def test_every_command_exists_and_takes_these_options(where: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    context: Any = None
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"{where}: no command {name}"
        context = command.make_context(name, list(words), parent=context, resilient_parsing=True)
        command = command.commands[name]
    command.make_parser(command.context_class(command, info_name=where)).parse_args(list(words))


def test_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        test_every_command_exists_and_takes_these_options("here", ["serve", "--no-such-option", "1"])
    with pytest.raises(AssertionError, match="no command"):
        test_every_command_exists_and_takes_these_options("here", ["no-such-command"])


def test_commands_are_found_everywhere() -> None:
    found = {where.split()[0].split(".")[0] for where, _ in commands()}
    assert found >= {"kubernetes", "compose", "stemwright", "Containerfile"}
