"""The descriptions of ONNX files in docs/models.md are valid, and those of the contracts in the tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from stemwright.models.onnx_config import OnnxConfig
from stemwright.models.onnx_contract import OnnxContract
from tests.models.onnx_contracts import CONTRACTS

DOC = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOC, flags=re.DOTALL)


@pytest.mark.parametrize(("name", "text"), list(zip(CONTRACTS, EXAMPLES, strict=False)))
def test_an_example_is_the_contract_that_is_tested(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    assert OnnxConfig.read(path).onnx == OnnxContract.from_table(tomllib.loads(CONTRACTS[name]), name)


def test_every_kind_has_an_example() -> None:
    assert len(EXAMPLES) == 4
