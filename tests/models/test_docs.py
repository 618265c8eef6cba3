import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_documentation_are_those_of_the_registry() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/model-table"], capture_output=True, text=True, check=True)
    assert done.stdout in (ROOT / "docs/models.md").read_text(encoding="utf-8"), "run scripts/model-table"
