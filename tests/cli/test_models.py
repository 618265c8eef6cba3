import json

from stemwright.models import registry
from tests.cli.conftest import run


def test_every_model_of_the_registry_is_listed() -> None:
    facts = json.loads(run("models", "--json").out)
    assert [model["name"] for model in facts] == [model.name for model in registry.models()]
    assert set(facts[0]) >= {"name", "title", "plans", "stems", "size_bytes", "licence", "runtime", "installed", "url"}


def test_the_table_says_which_plan_runs_which_model() -> None:
    out = run("models").out
    for word in ("stemwright-12", "fast", "onnx", "MIT", "installed"):
        assert word in out
