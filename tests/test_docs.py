"""The pages: links have their targets, lines wrap, tables are even, and what code cites of docs/contracts.md exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("training/*.md"),
        *ROOT.glob("training/*/SOURCES.md"),
        ROOT / "examples/README.md",
    ]
)
CITED = re.compile(r"docs/contracts\.md,\s+sections? (\d+(?:\.\d+)?)(?: (?:to|and) (\d+))?")


def _anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them from headings, and those that are written as ``<a id=…>``."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    anchors = set(re.findall(r'<a id="([^"]+)"', text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchors.add(re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-"))
    return anchors


def _broken(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_have_their_target(page: Path) -> None:
    assert _broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_wrap_at_120_columns(page: Path) -> None:
    """Tables and the line of badges in the README, which cannot wrap, excepted."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith(("|", "!["))] == []


def _uneven(page: Path) -> list[str]:
    """Rows of tables that have more or fewer cells than the row above them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    uneven, cells = [], 0
    for line in text.splitlines():
        now = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if now and cells and now != cells:
            uneven.append(line)
        cells = now
    return uneven


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_rows_of_a_table_have_the_same_number_of_cells(page: Path) -> None:
    assert _uneven(page) == []


def test_a_row_of_another_table_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("| a | b |\n|---|---|\n| 1 | a \\| b |\n| 1 | 2 | 3 |\n")
    assert _uneven(page) == ["| 1 | 2 | 3 |"]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Some heading, with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#some-heading-with-code) [c](other.md#none) [d](gone.md) [e](https://x.example)\n"
    )
    assert _broken(page) == ["other.md#none", "gone.md"]


def test_sections_of_the_contracts_that_code_cites_exist() -> None:
    there = set(re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", (ROOT / "docs/contracts.md").read_text(), re.MULTILINE))
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py")]
    cited = [
        (path, number) for path in sources for found in CITED.findall(path.read_text()) for number in found if number
    ]
    assert len(cited) > 20
    private = re.compile("contracts" + r" \d")  # sections of a document that is not in the repository
    assert [path.relative_to(ROOT) for path in sources if private.search(path.read_text())] == []
    assert [(path.relative_to(ROOT), number) for path, number in cited if number not in there] == []


def test_where_to_change_what_names_paths_that_exist() -> None:
    table = (ROOT / "docs/architecture.md").read_text().split("| to change | begin at |")[1].split("\n\n")[0]
    named = [name for name in re.findall(r"`([\w./]+)`", table) if "/" in name or name.endswith(".py")]
    assert len(named) > 20
    bases = (ROOT / "src" / "stemwright", ROOT)
    assert [
        name for name in named if not any((base / name).exists() or (base / f"{name}.py").exists() for base in bases)
    ] == []


def test_modules_in_the_tables_of_the_architecture_exist() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    missing = []
    for package, table in re.findall(r"^\| module of `(\w+)/` \|.*\n((?:\|.*\n)+)", page, re.MULTILINE):
        for row in table.splitlines()[1:]:
            for name in re.findall(r"`([\w./]+)`", row.split("|")[1]):
                path = ROOT / "src" / "stemwright" / package / name
                if not path.exists() and not path.with_suffix(".py").exists():
                    missing.append(f"{package}/{name}")
    assert missing == []
