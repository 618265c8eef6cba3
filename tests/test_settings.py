from __future__ import annotations

import re
from pathlib import Path

import pytest

from stemwright.errors import UsageError
from stemwright.settings import Settings, parse_rate, read_settings

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text(
        'port = 1\nworkers = 1\nretention_days = 30\nallowed_hosts = ["a.example"]\n'
    )
    monkeypatch.setenv("STEMWRIGHT_PORT", "2")
    monkeypatch.setenv("STEMWRIGHT_WORKERS", "2")
    monkeypatch.setenv("STEMWRIGHT_DATA", str(tmp_path))
    settings = read_settings(port=3)
    assert (settings.port, settings.workers, settings.retention_days) == (3, 2, 30)
    assert settings.allowed_hosts == ("a.example",)


def test_lists_in_the_environment_are_words_and_prices_are_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_ALLOWED_HOSTS", "a.example, b.example,")
    monkeypatch.setenv("STEMWRIGHT_CALLBACK_RETRY_S", "1,2.5")
    monkeypatch.setenv("STEMWRIGHT_PRICES", '{"split_stem": 0.5}')
    settings = read_settings(data=tmp_path)
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert list(settings.callback_retry_s) == [1, 2.5]
    assert (settings.price("split_stem"), settings.price("separate_vocal")) == (50, 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("RATE_LIMIT", "20 in 10"),
        ("RATE_LIMIT", "0/10"),
        ("PRICES", '{"split_stem": -1}'),
        ("PRICES", '{"lunch": 1}'),
        ("PUBLIC_URL", "stems.example.org"),
        ("RETENTION_DAYS", "0"),
        ("PRICES", "{"),
        ("WEBHOOK_KEY", "whsec_"),
        ("WEBHOOK_KEY", "whsec_no base64"),
        ("DIALECT", "klingon"),
    ],
)
def test_a_value_without_a_meaning_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"STEMWRIGHT_{name}", value)
    with pytest.raises(UsageError, match=f"STEMWRIGHT_{name}"):
        read_settings(data=tmp_path)


def test_a_name_in_the_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("prot = 80\n")
    with pytest.raises(UsageError, match="PROT"):
        read_settings(data=tmp_path)


@pytest.mark.parametrize("name", ["WEBHOOK_KEY", "UPSTREAM_KIE_KEY", "UPSTREAM_CRUN_KEY"])
def test_an_empty_key_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"STEMWRIGHT_{name}", "")
    assert getattr(read_settings(data=tmp_path), name.lower()) is None


@pytest.mark.parametrize("content", [b"port = ", b"port = \xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"settings\.toml cannot be read"):
        read_settings(data=tmp_path)


def test_a_limit_is_a_count_in_seconds() -> None:
    assert parse_rate("20/10") == (20, 10.0)
    assert parse_rate("0") is None


def test_the_documentation_lists_every_setting_with_its_words() -> None:
    listed = dict(re.findall(r"^\| `STEMWRIGHT_(\w+)` \| .*? \| (.*) \|$", DOCS.read_text(), re.MULTILINE))
    assert listed == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_leases_are_short_where_machines_share_a_database(tmp_path: Path) -> None:
    shared = "postgresql://me@host/stems"
    assert read_settings(data=tmp_path).lease_s == 120
    assert read_settings(data=tmp_path, database_url=shared).lease_s == 10
    assert read_settings(data=tmp_path, database_url=shared, lease_s=30).lease_s == 30
