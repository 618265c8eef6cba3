import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_documentation_are_those_of_the_registry() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/model-table"], capture_output=True, text=True, check=True)
    assert done.stdout in (ROOT / "docs/models.md").read_text(encoding="utf-8"), "run scripts/model-table"


def test_the_ladder_of_the_documentation_is_that_of_the_plans() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/plan-table"], capture_output=True, text=True, check=True)
    page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    assert done.stdout in page, "run scripts/plan-table"
    assert page.index(done.stdout) < page.index("\n## "), "the page begins with it"
