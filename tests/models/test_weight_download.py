from __future__ import annotations

import hashlib
import os
import pty
import random
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from stemwright.cli.download_bar import DownloadLines, download_bar
from stemwright.errors import CancelledError, ModelUnavailableError, StorageError, UsageError
from stemwright.models.weight_download import DownloadProgress, RetryPolicy, download
from stemwright.models.weight_file import WeightFile
from tests.models.weight_server import (
    Act,
    WeightServer,
    answers,
    breaks_off,
    hangs_up,
    stalls,
    without_length,
)

CONTENT = random.Random(5).randbytes(300_000)
HALF = 150_000
NAME = "net v1.ckpt"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
BY_HAND = r"put the file by hand .*into .*models under the name net v1\.ckpt"

SCRIPT = """
import sys
from pathlib import Path
from stemwright.models.weight_download import download
from stemwright.models.weight_file import WeightFile

name, url, size, digest, folder = sys.argv[1:]
report = lambda progress: print(progress.stage, progress.done_bytes, flush=True)
print(download(WeightFile(name, url, int(size), digest), Path(folder), on_progress=report), flush=True)
"""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().endswith("_PROXY") or name.startswith("STEMWRIGHT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[WeightServer]:
    with WeightServer(CONTENT) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def weights_at(url: str) -> WeightFile:
    return WeightFile(NAME, url, len(CONTENT), DIGEST)


class Client:
    """Downloads from a server; its pauses take no time, and their sum is in ``slept_s``."""

    def __init__(self, server: WeightServer, folder: Path) -> None:
        self.file = weights_at(f"{server.url}/release/net%20v1.ckpt")
        self.folder = folder
        self.slept_s = 0.0
        self.told: list[DownloadProgress] = []

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def bring(
        self,
        *,
        tries: int = 5,
        read_s: float = 30.0,
        mirror: str | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Path:
        retry_policy = RetryPolicy(tries=tries, connect_s=30.0, read_s=read_s, sleep=self._sleep)
        return download(
            self.file,
            self.folder,
            mirror=mirror,
            on_progress=self.told.append,
            is_cancelled=is_cancelled,
            retry_policy=retry_policy,
        )

    def leave(self, part: bytes) -> None:
        """Leaves a part, as a run does that was killed before it could note of which version it is."""
        self.folder.mkdir()
        self.file.part_in(self.folder).write_bytes(part)

    @property
    def stages(self) -> list[str]:
        return [
            here.stage
            for here, before in zip(self.told, [None, *self.told], strict=False)
            if before is None or here.stage != before.stage
        ]

    @property
    def left(self) -> set[str]:
        """Names of what lies in the folder for all to see."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def client(server: WeightServer, folder: Path) -> Client:
    return Client(server, folder)


def is_whole(path: Path) -> bool:
    return path.read_bytes() == CONTENT


# --- what goes well


def test_a_file_comes_whole_and_is_told_of(server: WeightServer, client: Client) -> None:
    path = client.bring()
    assert path == client.folder / NAME
    assert is_whole(path)
    assert client.left == {NAME}
    assert server.targets == ["/release/net%20v1.ckpt"]
    assert server.requests[0]["accept-encoding"] == "identity"
    assert server.requests[0]["user-agent"].startswith("Stemwright/")
    assert client.told[0] == DownloadProgress(NAME, 0, len(CONTENT), "downloading")
    assert client.told[-1] == DownloadProgress(NAME, len(CONTENT), len(CONTENT), "verifying")
    done = [progress.done_bytes for progress in client.told]
    assert done == sorted(done)


def test_what_is_there_is_neither_fetched_nor_read_again(server: WeightServer, client: Client) -> None:
    client.bring()
    client.told.clear()
    assert is_whole(client.bring())
    assert client.told == []
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_is_verified_and_taken(server: WeightServer, client: Client) -> None:
    client.folder.mkdir()
    (client.folder / NAME).write_bytes(CONTENT)
    client.bring()
    assert client.stages == ["verifying"]
    assert server.requests == []


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_a_damaged_file_gives_way_to_a_whole_one(client: Client, damaged: bytes) -> None:
    client.folder.mkdir()
    (client.folder / NAME).write_bytes(damaged)
    assert is_whole(client.bring())


# --- resuming


def test_a_part_is_gone_on_with_if_the_server_still_has_the_same_file(server: WeightServer, client: Client) -> None:
    server.acts.append(breaks_off(HALF))
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert server.requests[1]["if-range"] == '"one"'
    assert client.left == {NAME}


def test_a_later_run_goes_on_too(server: WeightServer, client: Client) -> None:
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError, match=r"broke off .* after 1 tries"):
        client.bring(tries=1)
    assert client.left == {f"{NAME}.part", f"{NAME}.part.json"}
    client.told.clear()
    assert is_whole(client.bring(tries=1))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert server.requests[1]["if-range"] == '"one"'
    assert client.stages == ["verifying", "downloading", "verifying"]


def test_a_weak_tag_is_no_condition_but_a_date_is(server: WeightServer, client: Client) -> None:
    server.headers["ETag"] = 'W/"one"'
    server.acts.append(breaks_off(HALF))
    assert is_whole(client.bring())
    assert server.requests[1]["if-range"] == server.headers["Last-Modified"]


def test_a_server_without_versions_is_asked_without_a_condition(server: WeightServer, client: Client) -> None:
    server.headers.clear()
    server.acts.append(breaks_off(HALF))
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert "if-range" not in server.requests[1]


def test_a_part_goes_on_from_another_server_without_the_condition_of_the_first(
    server: WeightServer, client: Client
) -> None:
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError):
        client.bring(tries=1)
    server.headers["ETag"] = '"of the mirror"'
    assert is_whole(client.bring(mirror=f"{server.url}/mirror"))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert "if-range" not in server.requests[1]


def test_a_server_that_knows_no_ranges_begins_anew(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(200, {"ETag": '"one"'}, CONTENT)])
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_file_that_changed_on_the_server_begins_anew(server: WeightServer, client: Client) -> None:
    server.content, server.headers["ETag"] = bytes(len(CONTENT)), '"old"'
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError):
        client.bring(tries=1)
    server.content, server.headers["ETag"] = CONTENT, '"new"'
    assert is_whole(client.bring(tries=1))
    assert server.requests[1]["if-range"] == '"old"'
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"},
        {"Content-Range": f"bytes {HALF}-{len(CONTENT)}/{len(CONTENT) + 1}"},
        {"Content-Range": "bytes"},
        {},
        {"Content-Range": f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"two"'},
    ],
)
def test_a_part_of_something_else_begins_anew_at_once(
    server: WeightServer, client: Client, headers: dict[str, str]
) -> None:
    server.acts.extend([breaks_off(HALF), answers(206, headers, CONTENT[HALF:])])
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_server_whose_file_became_shorter_begins_anew(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(416)])
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_what_never_fits_comes_to_an_end(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(206, {}, b"x")] * 10)
    with pytest.raises(ModelUnavailableError, match="another part than was asked for after 4 tries"):
        client.bring(tries=4)
    assert len(server.requests) == 4


def test_a_part_that_was_damaged_is_found_out_and_fetched_anew(server: WeightServer, client: Client) -> None:
    client.leave(bytes(HALF))
    assert is_whole(client.bring())
    assert server.ranges == [f"bytes={HALF}-", None]


def test_a_whole_part_needs_no_server(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT)
    assert is_whole(client.bring())
    assert server.requests == []
    assert client.left == {NAME}


@pytest.mark.parametrize("part", [CONTENT + b"more", bytes(len(CONTENT))])
def test_a_part_that_can_become_nothing_is_fetched_anew(server: WeightServer, client: Client, part: bytes) -> None:
    client.leave(part)
    assert is_whole(client.bring())
    assert server.ranges == [None]


def test_a_note_of_the_version_that_cannot_be_read_counts_for_nothing(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT[:HALF])
    client.file.version_in(client.folder).write_text('{"url": ')
    assert is_whole(client.bring())
    assert server.ranges == [f"bytes={HALF}-"]


def test_a_killed_process_is_gone_on_from(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    with start(client.file, client.folder) as process:
        assert process.stdout is not None
        read_until(process, f"downloading {HALF}")
        process.kill()
    assert client.file.part_in(client.folder).stat().st_size > 0
    assert is_whole(client.bring(tries=1))
    assert server.requests[1]["if-range"] == '"one"'
    asked = server.ranges[1]
    assert asked is not None
    assert 0 < int(asked[6:-1]) <= HALF


# --- wrong bytes, wrong lengths


def test_wrong_bytes_are_deleted_and_told(server: WeightServer, client: Client) -> None:
    server.content = bytes(len(CONTENT))
    with pytest.raises(ModelUnavailableError, match=f"not the SHA-256 of the registry.*{BY_HAND}"):
        client.bring()
    assert len(server.requests) == 1
    assert client.left == set()


def test_wrong_bytes_after_a_part_are_fetched_anew_once(server: WeightServer, client: Client) -> None:
    server.content = bytes(len(CONTENT))
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError, match="not the SHA-256"):
        client.bring()
    assert server.ranges == [None, f"bytes={HALF}-", None]
    assert client.left == set()


@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1, 20])
def test_a_server_that_says_another_length_has_another_file(server: WeightServer, client: Client, length: int) -> None:
    client.leave(CONTENT[:HALF])
    server.acts.append(answers(200, {"Content-Type": "text/html"}, bytes(length)))
    with pytest.raises(ModelUnavailableError, match=rf"\({length} bytes\) instead of 0.3 MB \(300000 bytes\)"):
        client.bring()
    assert len(server.requests) == 1
    assert client.file.part_in(client.folder).stat().st_size == HALF  # what a login page may not destroy


def test_a_body_that_is_too_long_is_never_written(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT + b"more"))
    with pytest.raises(ModelUnavailableError, match="sent more than 300000 bytes"):
        client.bring()
    assert max(progress.done_bytes for progress in client.told) <= len(CONTENT)
    assert client.file.part_in(client.folder).stat().st_size == 0


def test_a_body_without_length_that_is_too_short_is_gone_on_with(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT[:HALF]))
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_body_without_length_is_taken(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT))
    assert is_whole(client.bring())


def test_a_compressed_body_is_not_taken(server: WeightServer, client: Client) -> None:
    server.acts.append(answers(200, {"Content-Encoding": "gzip"}, CONTENT))
    with pytest.raises(ModelUnavailableError, match="compressed, though asked not to"):
        client.bring()


# --- servers that are busy, gone or broken


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(server: WeightServer, client: Client, status: int) -> None:
    server.acts.extend([answers(status)] * 2)
    assert is_whole(client.bring())
    assert len(server.requests) == 3
    assert 1.5 <= client.slept_s <= 3.0  # 0.5 to 1 s, then 1 to 2 s
    assert client.stages == ["downloading", "waiting", "downloading", "waiting", "downloading", "verifying"]


def test_trouble_that_stays_is_told(server: WeightServer, client: Client) -> None:
    server.acts.extend([answers(503)] * 10)
    with pytest.raises(ModelUnavailableError, match=f"answers 503 Service Unavailable after 3 tries.*{BY_HAND}"):
        client.bring(tries=3)
    assert len(server.requests) == 3


def test_a_server_is_left_alone_for_as_long_as_it_says(server: WeightServer, client: Client) -> None:
    server.acts.append(answers(429, {"Retry-After": "7"}))
    assert is_whole(client.bring())
    assert client.slept_s == pytest.approx(7.0)


def test_a_moment_may_be_named_too(server: WeightServer, client: Client) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    server.acts.append(answers(503, {"Retry-After": past}))
    assert is_whole(client.bring())
    assert client.slept_s == 0.0


@pytest.mark.parametrize("header", ["soon", "-5", "Fri, 01 May 2026"])
def test_nonsense_for_a_time_is_no_time(server: WeightServer, client: Client, header: str) -> None:
    server.acts.append(answers(429, {"Retry-After": header}))
    assert is_whole(client.bring())
    assert 0.5 <= client.slept_s <= 1.0


@pytest.mark.parametrize("in_words", [True, False])
def test_nobody_waits_for_hours(server: WeightServer, client: Client, in_words: bool) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(hours=10), usegmt=True)
    server.acts.append(answers(429, {"Retry-After": late if in_words else "36000"}))
    with pytest.raises(ModelUnavailableError, match=r"429 Too Many Requests and asks to retry after 3\d{4} s"):
        client.bring()
    assert client.slept_s == 0.0


@pytest.mark.parametrize("status", [401, 403, 404, 410, 416, 505])
def test_a_refusal_ends_it_at_once(server: WeightServer, client: Client, status: int) -> None:
    server.acts.append(answers(status))
    told = rf"from http://127\S+/release/net%20v1\.ckpt, since .* answers {status} .*STEMWRIGHT_MODEL_MIRROR.*{BY_HAND}"
    with pytest.raises(ModelUnavailableError, match=told):
        client.bring()
    assert len(server.requests) == 1
    assert client.slept_s == 0.0


@pytest.mark.parametrize("act", [hangs_up, lambda handler: handler.send(b"no HTTP\r\n\r\n")])
def test_a_server_that_breaks_off_is_asked_again(server: WeightServer, client: Client, act: Act) -> None:
    server.acts.append(act)
    assert is_whole(client.bring())
    assert len(server.requests) == 2


def test_a_server_that_falls_silent_is_asked_for_the_rest(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    assert is_whole(client.bring(read_s=1.0))
    assert server.ranges[0] is None
    assert server.ranges[-1] is not None


def test_silence_is_told(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(0))
    with pytest.raises(ModelUnavailableError, match=r"127\.0\.0\.1 sent nothing for 0\.2 s after 1 tries"):
        client.bring(tries=1, read_s=0.2)


def test_tries_that_get_on_do_not_count(folder: Path) -> None:
    content = random.Random(6).randbytes(5 << 20)
    with WeightServer(content) as server:
        server.acts.extend([breaks_off(1 << 20)] * 4)
        file = WeightFile(NAME, server.url, len(content), hashlib.sha256(content).hexdigest())
        retry_policy = RetryPolicy(tries=2, sleep=lambda seconds: None)
        assert download(file, folder, retry_policy=retry_policy).read_bytes() == content
        assert len(server.requests) == 5


def test_no_network_is_told_in_one_sentence(folder: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/net.ckpt"
        retry_policy = RetryPolicy(tries=3, sleep=lambda seconds: None)
        told = rf"^net v1\.ckpt could not be downloaded from {url}, since .* could not be reached \(.*refused\) after 3"
        with pytest.raises(ModelUnavailableError, match=told) as error:
            download(weights_at(url), folder, retry_policy=retry_policy)
    assert str(error.value).endswith("under the name net v1.ckpt.")


# --- redirects, certificates, proxies


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


# --- mirrors, offline


def test_a_mirror_has_the_file_under_its_name(
    server: WeightServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODEL_MIRROR", f"{server.url}/a/b/")
    assert is_whole(client.bring())
    assert server.targets == ["/a/b/net%20v1.ckpt"]


def test_a_mirror_that_has_other_bytes_is_found_out(server: WeightServer, client: Client) -> None:
    server.content = bytes(len(CONTENT))
    with pytest.raises(ModelUnavailableError, match="not the SHA-256"):
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


# --- the disk


def test_room_is_looked_for_first(server: WeightServer, folder: Path) -> None:
    file = WeightFile(NAME, server.url, 10**18, DIGEST)
    with pytest.raises(
        StorageError, match=r"free and net v1\.ckpt takes .* GB; make room, or set STEMWRIGHT_MODELS_DIR"
    ):
        download(file, folder)
    assert server.requests == []


def test_a_disk_that_fills_up_is_told_and_gone_on_with(server: WeightServer, client: Client) -> None:
    with start(client.file, client.folder, largest_file_bytes=HALF) as process:
        assert process.stderr is not None
        assert "StorageError: No room is left to write" in process.stderr.read()
    assert client.file.part_in(client.folder).stat().st_size == HALF
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_folder_that_cannot_be_made_is_told(client: Client) -> None:
    client.folder.write_bytes(b"a file")
    with pytest.raises(StorageError, match="could not be written"):
        client.bring()


# --- several at once, and cancelling


def start(file: WeightFile, folder: Path, largest_file_bytes: int = resource.RLIM_INFINITY) -> subprocess.Popen[str]:
    """A process that downloads and prints how far it is."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file_bytes},) * 2)"
    arguments = [file.name, file.url, str(file.size_bytes), file.sha256, str(folder)]
    command = [sys.executable, "-c", limited + SCRIPT, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for told in process.stdout:
        if told.strip() == line:
            return
    raise AssertionError(f"the process ended before it said '{line}'")


def test_of_two_processes_one_downloads_and_both_have_the_file(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    with start(client.file, client.folder) as first:
        read_until(first, f"downloading {HALF}")
        with start(client.file, client.folder) as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith("waiting ")
            server.release.set()
            for process in (first, second):
                out, err = process.communicate(timeout=60)
                assert (process.returncode, err) == (0, "")
                assert out.splitlines()[-1] == str(client.folder / NAME)
    assert is_whole(client.folder / NAME)
    assert len(server.requests) == 1


def test_whoever_waits_takes_over_from_one_that_is_killed(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    with start(client.file, client.folder) as first:
        read_until(first, f"downloading {HALF}")
        with start(client.file, client.folder) as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith("waiting ")
            first.kill()
            assert second.wait(60) == 0
            second.stdout.read()
    assert is_whole(client.folder / NAME)
    assert server.ranges[0] is None
    assert server.ranges[1] is not None


def test_threads_share_one_download(server: WeightServer, folder: Path) -> None:
    clients = [Client(server, folder) for _ in range(4)]
    server.acts.append(stalls(HALF))
    threads = [threading.Thread(target=client.bring) for client in clients]
    for thread in threads:
        thread.start()
    while sum("waiting" in client.stages for client in clients) < 3:
        time.sleep(0.01)
    server.release.set()
    for thread in threads:
        thread.join(60)
    assert is_whole(folder / NAME)
    assert len(server.requests) == 1


def test_files_of_other_names_do_not_wait_for_each_other(server: WeightServer, client: Client) -> None:
    with client.file.locked(_made(client.folder), lambda: None):
        other = WeightFile("other.ckpt", client.file.url, len(CONTENT), DIGEST)
        assert is_whole(download(other, client.folder))


def test_a_cancelled_download_keeps_what_came(server: WeightServer, client: Client) -> None:
    with pytest.raises(CancelledError, match="the next one continues with the partial file"):
        client.bring(is_cancelled=lambda: bool(client.told) and client.told[-1].done_bytes > 0)
    part = client.file.part_in(client.folder).stat().st_size
    assert part > 0
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={part}-"]


@pytest.mark.parametrize("waits_for", ["server", "lock"])
def test_whoever_waits_can_be_cancelled(server: WeightServer, client: Client, waits_for: str) -> None:
    def is_cancelled() -> bool:
        return "waiting" in client.stages

    if waits_for == "server":
        server.acts.append(answers(503, {"Retry-After": "100"}))
        with pytest.raises(CancelledError):
            client.bring(is_cancelled=is_cancelled)
        assert client.slept_s < 1.0
    else:
        with client.file.locked(_made(client.folder), lambda: None), pytest.raises(CancelledError):
            client.bring(is_cancelled=is_cancelled)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


# --- what the command line shows


def test_a_pipe_gets_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = [100.0]
    lines = DownloadLines(lambda: now_s[0])
    for second in range(21):
        now_s[0] = 100.0 + second
        lines(DownloadProgress("net\n", 400_000_000 + second * 10_000_000, 1_400_000_000, "downloading"))
    lines(DownloadProgress("net\n", 600_000_000, 1_400_000_000, "waiting"))
    assert capsys.readouterr().err.splitlines() == [
        "net_: downloading, 400.0 MB of 1.4 GB (29%)",
        "net_: downloading, 450.0 MB of 1.4 GB (32%), 10.0 MB/s, 1:35 left",
        "net_: downloading, 500.0 MB of 1.4 GB (36%), 10.0 MB/s, 1:30 left",
        "net_: downloading, 550.0 MB of 1.4 GB (39%), 10.0 MB/s, 1:25 left",
        "net_: downloading, 600.0 MB of 1.4 GB (43%), 10.0 MB/s, 1:20 left",
        "net_: waiting, 600.0 MB of 1.4 GB (43%)",
    ]


def test_a_pipe_is_told_of_a_download(server: WeightServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar() as on_progress:
        download(weights_at(server.url), folder, on_progress=on_progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{NAME}: downloading, 0.0 MB of 0.3 MB (0%)\n")
    assert said.err.endswith(f"{NAME}: verifying, 0.3 MB of 0.3 MB (100%)\n")


def test_quiet_says_nothing(server: WeightServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar(quiet=True) as on_progress:
        download(weights_at(server.url), folder, on_progress=on_progress)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT[:HALF])
    server.acts.append(stalls(1000))
    code = "from stemwright.cli.download_bar import download_bar\n" + SCRIPT.replace(
        "print(download(", "with download_bar() as report: print(download("
    )
    arguments = [NAME, client.file.url, str(len(CONTENT)), DIGEST, str(client.folder)]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        without_credentials = b""
        while chunk := _read(ours):
            without_credentials += chunk
            if b"151.0/300.0 kB" in without_credentials:
                server.release.set()
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read().decode() == f"{client.folder / NAME}\n", without_credentials.decode()
    assert process.returncode == 0
    assert NAME.encode() in without_credentials
    assert b"downloading" in without_credentials


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side was closed
        return b""
