"""Redirects, certificates, proxies, mirrors, and no network at all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError, UsageError
from stemwright.models.weight_download import download
from tests.models.downloads.client import BY_HAND, CONTENT, HALF, NAME, Client, is_whole, weights_at
from tests.models.downloads.weight_server import (
    WeightServer,
    answers,
    breaks_off,
)


def test_redirects_are_followed_with_what_was_asked(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT[:HALF])
    server.acts.extend([answers(302, {"Location": "/elsewhere"}), answers(307, {"Location": f"{server.url}/there"})])
    assert is_whole(client.bring())
    assert server.targets == ["/release/net%20v1.ckpt", "/elsewhere", "/there"]
    assert server.ranges == [f"bytes={HALF}-"] * 3


def test_redirects_without_end_have_one(server: WeightServer, client: Client) -> None:
    server.acts.extend([answers(302, {"Location": "/elsewhere"})] * 20)
    with pytest.raises(ModelUnavailableError, match="more than 10 redirects"):
        client.bring()
    assert len(server.requests) == 11


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/net.ckpt"])
def test_redirects_lead_to_the_web_only(server: WeightServer, client: Client, location: str) -> None:
    server.acts.append(answers(302, {"Location": location}))
    with pytest.raises(ModelUnavailableError, match=f"redirects from http to {location[:3]}.*not safe"):
        client.bring()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=weights.example"
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *command.split(), *extra], check=True, capture_output=True)
    return certificate, key


def test_certificates_are_checked_and_may_be_named(
    certificate: tuple[Path, Path], server: WeightServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WeightServer(CONTENT) as safe:
        safe.listen_with_tls(*certificate)
        client = Client(safe, folder)
        with pytest.raises(ModelUnavailableError, match=r"certificate of 127\.0\.0\.1 is not trusted .*SSL_CERT_FILE"):
            client.bring()
        assert (safe.requests, client.slept_s) == ([], 0.0)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        safe.acts.append(answers(302, {"Location": f"{server.url}/net.ckpt"}))
        with pytest.raises(ModelUnavailableError, match="redirects from https to http, which is not safe"):
            client.bring()
        assert server.requests == []
        assert is_whole(client.bring())


def test_certificates_that_are_not_there_are_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authorities.pem")
    with pytest.raises(ModelUnavailableError, match="certificates that SSL_CERT_FILE names cannot be read"):
        client.bring()


def test_a_proxy_of_the_environment_is_used(
    server: WeightServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert is_whole(download(weights_at("http://weights.invalid/net.ckpt"), folder))
    assert server.targets == ["http://weights.invalid/net.ckpt"]


def test_a_proxy_that_cannot_be_used_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(ModelUnavailableError, match="proxy that the environment names cannot be used"):
        client.bring()


def test_a_mirror_has_the_file_under_its_name(
    server: WeightServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODEL_MIRROR", f"{server.url}/a/b/")
    assert is_whole(client.bring())
    assert server.targets == ["/a/b/net%20v1.ckpt"]


def test_a_mirror_that_has_other_bytes_is_found_out(server: WeightServer, client: Client) -> None:
    server.content = bytes(len(CONTENT))
    with pytest.raises(ModelUnavailableError, match="its SHA-256 there is"):
        client.bring(mirror=f"{server.url}/mirror")


def test_a_password_of_a_mirror_is_used_and_told_nobody(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(403)])
    mirror = server.url.replace("//", "//ann:s3cr@t@")
    with pytest.raises(ModelUnavailableError) as error:
        client.bring(mirror=mirror)
    assert server.requests[0]["authorization"].startswith("Basic ")
    assert "s3cr" not in str(error.value)
    assert "s3cr" not in client.file.version_in(client.folder).read_text()


@pytest.mark.parametrize(
    "mirror", ["/media/models", "host/models", "ftp://host/models", "https://", "http://[::1", "http://host:99999"]
)
def test_a_mirror_that_is_no_url_is_told(client: Client, mirror: str) -> None:
    with pytest.raises(UsageError, match="set STEMWRIGHT_MODEL_MIRROR to the URL of a folder"):
        client.bring(mirror=mirror)


def test_a_folder_can_be_a_mirror(server: WeightServer, client: Client, tmp_path: Path) -> None:
    disk = tmp_path / "my disk"
    disk.mkdir()
    mirror = disk.as_uri()
    with pytest.raises(ModelUnavailableError, match=r"my disk/net v1\.ckpt cannot be read"):
        client.bring(mirror=mirror)
    (disk / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(ModelUnavailableError, match="has 299999 bytes instead of 300000"):
        client.bring(mirror=mirror)
    (disk / NAME).write_bytes(CONTENT)
    client.file.part_in(client.folder).write_bytes(CONTENT[:HALF])
    assert is_whole(client.bring(mirror=mirror))
    assert server.requests == []


def test_offline_opens_no_connection_and_says_what_is_missing(
    server: WeightServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    with pytest.raises(
        ModelUnavailableError, match=f"STEMWRIGHT_OFFLINE prevents its download: unset it, or {BY_HAND}"
    ):
        client.bring()
    assert server.requests == []
    assert not client.folder.exists()
    (tmp_path / NAME).write_bytes(CONTENT)
    assert is_whole(client.bring(mirror=tmp_path.as_uri()))
    assert is_whole(client.bring())
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "false")
    (client.folder / NAME).unlink()
    assert is_whole(client.bring())


@pytest.mark.parametrize("url", ["", "file:///etc/hostname", "ftp://host/net.ckpt", "net.ckpt"])
def test_a_file_without_an_address_is_told(folder: Path, url: str) -> None:
    with pytest.raises(ModelUnavailableError, match=f"its URL is not known: {BY_HAND}"):
        download(weights_at(url), folder)
