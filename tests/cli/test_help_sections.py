"""Help that teaches: every option in its section, every sentence whole."""

import re

import pytest
from typer.testing import CliRunner

from stemwright.cli.app import app


def help_of(*command: str) -> str:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    return done.output


def test_options_stand_under_the_names_of_their_sections() -> None:
    text = help_of("separate")
    sections = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    assert sections == ["Arguments", "Stems and files", "Model and processing", "Output", "Others"]
    assert text.index("Stems and files:") < text.index("--stems two|") < text.index("Model and processing:")
    assert text.index("Model and processing:") < text.index("--plan auto|")
    assert text.index("--plan auto|") < text.index("Output:") < text.index("--quiet")


def test_a_section_alone_has_no_name() -> None:
    assert re.findall(r"^(\w[\w ]*):$", help_of("backup"), re.MULTILINE) == ["Arguments", "Options"]


@pytest.mark.parametrize("group", [[], ["models"], ["keys"], ["credits"]])
def test_no_summary_is_cut_short(group: list[str]) -> None:
    text = help_of(*group)
    assert "..." not in text.partition("Commands:")[2]
    assert text.rstrip().endswith(".")


@pytest.mark.parametrize("command", [[], ["separate"], ["models"], ["keys", "create"], ["evaluate"], ["serve"]])
def test_markup_is_not_shown(command: list[str]) -> None:
    assert not re.search(r"\[/?(bold|/)\]", help_of(*command))


COMMANDS = [[name] for name in ("separate", "doctor", "evaluate", "plot", "serve", "backup", "quota", "models", "keys")]


@pytest.mark.parametrize("columns", [40, 51])
@pytest.mark.parametrize("command", [[], *COMMANDS, ["keys", "create"], ["models", "add"]], ids=" ".join)
def test_help_fits_a_narrow_terminal(command: list[str], columns: int) -> None:
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": str(columns)})
    assert done.exit_code == 0
    for line in done.output.splitlines():
        assert len(line) <= columns or re.fullmatch(r" *(--\S+ )?\S+( \S{1,10})?", line), line  # of words too long
    assert "  --help" in done.output.replace("-h, ", "  ")
