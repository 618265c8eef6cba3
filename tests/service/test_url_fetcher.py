"""Fetching from and posting to strangers: what comes whole, and every way in which it does not."""

from __future__ import annotations

import io
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpcore
import pytest

from stemwright.service import pinned_http
from stemwright.service.errors import InvalidRequest, SourceUnavailable, UrlRefused
from stemwright.service.ssrf_guard import SsrfGuard
from stemwright.service.url_fetcher import FetchedFile, Fetcher
from stemwright.settings import Settings, read_settings
from tests.stand_in import Song, StandIn, tone

PUBLIC = "93.184.216.34"


class Rerouted(httpcore.NetworkBackend):
    """Notes to which address a connection goes, and makes it to the stand-in."""

    def __init__(self, port: int, broken: Sequence[str] = ()) -> None:
        self.port = port
        self.broken = broken
        self.asked: list[tuple[str, int]] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        self.asked.append((host, port))
        if host in self.broken:
            raise httpcore.ConnectError("refused")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout)


class Names:
    """A resolver that gives each host its answers one after the other; the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def settings() -> Settings:
    return read_settings(fetch_timeout_s=240)


@pytest.fixture
def fetcher(settings: Settings) -> Fetcher:
    return Fetcher(settings)


def fetch(fetcher: Fetcher, url: str, max_bytes: int = 10**6) -> tuple[FetchedFile, bytes]:
    file = io.BytesIO()
    fetched = fetcher.fetch(url, file, max_bytes)
    return fetched, file.getvalue()


def test_a_song_comes_whole_with_its_type_and_name(world: StandIn, fetcher: Fetcher) -> None:
    song = world.add_task(Song(tone())).songs[0]
    fetched, content = fetch(fetcher, f"{world.url}/audio/{song.id}.wav")
    assert content == song.audio
    assert fetched == FetchedFile("audio/wav", f"{song.id}.wav", len(song.audio))
    request = world.received[0]
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("Stemwright/")
    assert "authorization" not in request.headers and "cookie" not in request.headers


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="My mix.mp3"', "My mix.mp3"),
        ("attachment; filename*=UTF-8''L%C3%ADed.mp3", "Líed.mp3"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\songs\\\\mix.mp3"', "mix.mp3"),
        ('attachment; filename=".."', None),
        ('attachment; filename="' + "a" * 500 + '.mp3"', "a" * 196 + ".mp3"),
        ("nonsense", "named"),
        ("attachment; filename*=nocharset''%FF%FE", "ÿþ"),
    ],
)
def test_file_names_are_one_line_without_folders(
    world: StandIn, fetcher: Fetcher, disposition: str, name: str | None
) -> None:
    fetched, _ = fetch(fetcher, f"{world.url}/faults/named?as={quote(disposition)}")
    assert fetched.file_name == name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("Audio/MPEG; charset=x", "audio/mpeg"), ("nonsense", None), ("a/b c", None), ("a" * 60 + "/" + "b" * 60, None)],
)
def test_media_types_are_kept_where_they_are_some(world: StandIn, fetcher: Fetcher, sent: str, kept: str) -> None:
    fetched, _ = fetch(fetcher, f"{world.url}/faults/named?as=inline&type={quote(sent)}")
    assert fetched.media_type == kept


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("status?code=404", "HTTP status 404"),
        ("status?code=500", "HTTP status 500"),
        ("status?code=206", "HTTP status 206"),
        ("status?code=204", "HTTP status 204"),
        ("status?code=304", "HTTP status 304"),
        ("redirect", "redirect without a target"),
        ("loop", "More than 5 redirects"),
        ("redirect?to=http://256.1.1.1/", "redirects to an invalid URL"),
        ("redirect?to=file:///etc/passwd", "URL is not valid"),
        ("short", "closed the connection early"),
        ("huge", "larger than 1.0 MB"),
        ("endless", "larger than 1.0 MB"),
        ("gzip", "compressed"),
        ("headers", "closed the connection early, or does not speak HTTP"),
        ("garbage", "does not speak HTTP"),
        ("empty", "empty file"),
    ],
)
def test_what_goes_wrong_is_told(world: StandIn, fetcher: Fetcher, path: str, words: str) -> None:
    with pytest.raises(SourceUnavailable, match=words) as caught:
        fetch(fetcher, f"{world.url}/faults/{path}")
    assert caught.value.code == 451


@pytest.mark.parametrize("path", ["slow", "silent", "drip", "drip-head", "chatter"])
def test_a_source_that_takes_too_long_is_left(world: StandIn, path: str) -> None:
    with pytest.raises(SourceUnavailable, match="not answer in time") as caught:
        fetch(Fetcher(read_settings(fetch_timeout_s=0.6)), f"{world.url}/faults/{path}")
    assert caught.value.code == 451


def test_more_than_was_claimed_is_cut_off(world: StandIn, fetcher: Fetcher) -> None:
    assert fetch(fetcher, f"{world.url}/faults/long")[1] == b"a" * 10


def test_a_source_that_falls_silent_is_left_before_the_whole_time_is_over(
    world: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned_http, "IDLE_TIMEOUT_S", 0.2)
    with pytest.raises(SourceUnavailable, match="in time"):
        fetch(Fetcher(read_settings(fetch_timeout_s=240)), f"{world.url}/faults/silent")


def test_nobody_listens(fetcher: Fetcher) -> None:
    with StandIn() as gone:
        url = gone.url
    with pytest.raises(SourceUnavailable, match="could not be reached"):
        fetch(fetcher, url)


def test_a_full_disk_is_not_the_sources_fault(world: StandIn, fetcher: Fetcher) -> None:
    class Full:
        def write(self, data: bytes, /) -> object:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fetcher.fetch(f"{world.url}/faults/endless", Full(), 10**9)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(world: StandIn, fetcher: Fetcher, code: int) -> None:
    song = world.add_task(Song(tone(0.1))).songs[0]
    fetched, content = fetch(fetcher, f"{world.url}/faults/redirect?code={code}&to=/audio/{song.id}.wav")
    assert content == song.audio and fetched.file_name == f"{song.id}.wav"


@pytest.mark.parametrize(
    "inner",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://2130706433/",
        "http://song.example:22/",
        "http://user:secret@song.example/",
        "//127.0.0.1/",
        "http://localhost/",
    ],
)
def test_redirects_inwards_are_refused_and_nothing_is_sent_there(world: StandIn, inner: str) -> None:
    names = Names(song_example=[[PUBLIC]], localhost=[["127.0.0.1"]])
    backend = Rerouted(world.port)
    settings = read_settings(host="0.0.0.0", fetch_timeout_s=240)
    fetcher = Fetcher(settings, SsrfGuard(settings, names), backend=backend)
    with pytest.raises(UrlRefused):
        fetch(fetcher, f"http://song.example/faults/redirect?to={quote(inner)}")
    assert backend.asked == [(PUBLIC, 80)]
    assert len(world.received) == 1


def test_the_judged_address_is_the_one_that_is_connected_to(world: StandIn) -> None:
    """A name that changes its address between two look-ups gains nothing: there is one look-up."""
    names = Names(rebound_example=[[PUBLIC], ["127.0.0.1"]])
    backend = Rerouted(world.port)
    settings = read_settings(host="0.0.0.0")
    fetcher = Fetcher(settings, SsrfGuard(settings, names), backend=backend)
    fetch(fetcher, "http://rebound.example:8080/faults/named?as=inline")
    assert names.asked == ["rebound.example"]
    assert backend.asked == [(PUBLIC, 8080)]
    assert world.received[0].headers["host"] == "rebound.example:8080"
    with pytest.raises(UrlRefused):  # the next fetch looks again, and judges again
        fetch(fetcher, "http://rebound.example:8080/faults/named?as=inline")
    assert len(backend.asked) == 1


def test_a_name_that_turns_inwards_in_a_redirect_is_judged_anew(world: StandIn) -> None:
    names = Names(rebound_example=[[PUBLIC], ["127.0.0.1"]])
    settings = read_settings(host="0.0.0.0")
    fetcher = Fetcher(settings, SsrfGuard(settings, names), backend=Rerouted(world.port))
    with pytest.raises(UrlRefused):
        fetch(fetcher, "http://rebound.example/faults/redirect?to=http://rebound.example/audio/x.wav")
    assert len(world.received) == 1


def test_the_next_address_is_tried_where_one_is_dead(world: StandIn) -> None:
    dead = "2606:2800:220:1:248:1893:25c8:1946"
    settings = read_settings(host="0.0.0.0")
    guard = SsrfGuard(settings, Names(both_example=[[dead, PUBLIC]]))
    backend = Rerouted(world.port, broken=[dead])
    assert fetch(Fetcher(settings, guard, backend=backend), "http://both.example/faults/named?as=inline")[1] == b"song"
    assert [address for address, _ in backend.asked] == [dead, PUBLIC]


def test_proxies_of_the_environment_are_not_used(
    world: StandIn, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert fetch(fetcher, f"{world.url}/faults/named?as=inline")[1] == b"song"


def test_offline_fetches_and_posts_nothing(world: StandIn) -> None:
    fetcher = Fetcher(read_settings(offline=True))
    with pytest.raises(UrlRefused, match="STEMWRIGHT_OFFLINE"):
        fetch(fetcher, world.url)
    with pytest.raises(UrlRefused):
        fetcher.post(world.url + "/hook", b"{}", {}, 1.0)
    assert not world.received


def test_malformed_urls_are_told_apart(fetcher: Fetcher) -> None:
    with pytest.raises(InvalidRequest):
        fetcher.check_syntax("no url")
    with pytest.raises(SourceUnavailable):
        fetch(fetcher, "no url")


def test_a_post_arrives_and_gives_the_status(world: StandIn, fetcher: Fetcher) -> None:
    world.callback_statuses = [204, 500]
    assert (
        fetcher.post(f"{world.url}/hook?a=b", b'{"a":1}', {"Content-Type": "application/json", "X-Extra": "1"}, 1.0)
        == 204
    )
    assert fetcher.post(f"{world.url}/hook", b"", {}, 240) == 500
    first = world.received[0]
    assert (first.method, first.json, first.query) == ("POST", {"a": 1}, {"a": "b"})
    assert first.headers["x-extra"] == "1" and first.headers["content-type"] == "application/json"


def test_a_post_follows_no_redirect_and_reads_no_body(world: StandIn, fetcher: Fetcher) -> None:
    assert fetcher.post(f"{world.url}/faults/redirect?to=/hook", b"{}", {}, 240) == 302
    assert not world.of("/hook")
    assert fetcher.post(f"{world.url}/faults/endless", b"{}", {}, 240) == 200
    with pytest.raises(SourceUnavailable, match="in time"):
        fetcher.post(f"{world.url}/faults/drip-head", b"{}", {}, 0.3)


def test_tls_is_checked_against_the_name_though_the_address_is_pinned(world: StandIn, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=song.example"
    extra = ["-addext", "subjectAltName=DNS:song.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *command.split(), *extra], check=True, capture_output=True)
    seen = world.listen_with_tls(certificate, key)
    settings = read_settings(host="0.0.0.0", fetch_timeout_s=240)
    guard = SsrfGuard(settings, Names(song_example=[[PUBLIC]], other_example=[[PUBLIC]]))
    fetcher = Fetcher(
        settings, guard, context=ssl.create_default_context(cafile=str(certificate)), backend=Rerouted(world.port)
    )
    assert fetch(fetcher, "https://song.example/faults/named?as=inline")[1] == b"song"
    assert seen == ["song.example"]
    assert world.received[0].headers["host"] == "song.example"
    with pytest.raises(SourceUnavailable, match="could not be reached"):
        fetch(fetcher, "https://other.example/faults/named?as=inline")
    assert len(world.received) == 1
