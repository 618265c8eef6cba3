from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stemwright.service.ids import dashed
from stemwright.service.links import Link, Links
from stemwright.service.task import Stem, Task
from stemwright.service.tracks import Track
from stemwright.service.uploads import Upload

NOW = 1_780_000_000.0
ID, ACCOUNT, TASK = "8a1e" * 8, "ac" * 16, "6d0b" * 8
BASE = "https://stems.example.org"
SECRET = bytes(32)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def stem(name: str = "backing_vocals", fmt: str = "mp3") -> Stem:
    return Stem(ID, name, 1, "ab" * 32, fmt, 1, 1.0, True, 1.0, None, None)


def task(expires_at: float = NOW + 1000.5) -> Task:
    return Task(
        id=TASK,
        account_id=ACCOUNT,
        face="kie",
        kind="split_stem",
        state="succeeded",
        stems_asked="twelve",
        plan="fast",
        trace_context=None,
        format="mp3",
        bit_depth=None,
        bitrate_kbps=None,
        stem_name=None,
        track_id=ID,
        source_url=None,
        callback_url=None,
        request={},
        price=0,
        cache_key=None,
        stage=None,
        progress=1.0,
        cancel_requested=False,
        error_code=None,
        error_message=None,
        seconds=1.0,
        facts={},
        created_at=NOW,
        started_at=NOW,
        ended_at=NOW,
        expires_at=expires_at,
    )


def track(file_name: str | None = "My song.FLAC", media_type: str | None = None) -> Track:
    return Track(
        ID, ACCOUNT, TASK, 0, "upload", "My song", None, None, media_type, file_name, 1, 1.0, {}, NOW, NOW + 1000.5
    )


def upload(path: str = "kieai/mine/song 1.mp3") -> Upload:
    return Upload(ID, ACCOUNT, path, None, "audio/mpeg", 0, NOW, NOW + 1000.5)


LINKS = Links(BASE, SECRET, Clock())
EVERY = [
    LINKS.stem_url(stem(), task()),
    LINKS.track_url(track()),
    LINKS.upload_url(upload()),
    LINKS.put_url(upload(), 60),
]


def test_links_end_as_the_vendors_do_and_stay_the_same() -> None:
    clock = Clock()
    links = Links(lambda: BASE + "/", SECRET, clock)
    url = links.stem_url(stem(), task())
    clock.now += 500
    assert links.stem_url(stem(), task()) == url
    assert url.startswith(f"{BASE}/s/{int(NOW) + 1000}-") and url.endswith(f"/{dashed(ID)}_Backing_Vocals.mp3")
    assert links.stem_url(stem("fx", "wav"), task()).endswith(f"/{dashed(ID)}_FX.wav")
    assert links.stem_url(stem(), task(), base="http://10.0.0.1:8000/stems").startswith("http://10.0.0.1:8000/stems/s/")


@pytest.mark.parametrize(
    ("file_name", "media_type", "extension"),
    [
        ("My song.FLAC", None, "flac"),
        (None, "audio/x-wav; rate=1", "wav"),
        ("no ending", "audio/mpeg", "mp3"),
        ("evil./../x", None, "bin"),
        ("evil.m p3?", "text/html", "bin"),
    ],
)
def test_a_track_keeps_its_extension(file_name: str | None, media_type: str | None, extension: str) -> None:
    assert LINKS.track_url(track(file_name, media_type)).endswith(f"/{ACCOUNT}/{dashed(ID)}.{extension}")


def test_what_was_signed_is_read() -> None:
    expiry = int(NOW) + 1000
    name = f"{dashed(ID)}_Backing_Vocals.mp3"
    assert LINKS.resolve(EVERY[0]) == Link("stem", ID, None, name, expiry)
    assert LINKS.resolve(EVERY[1]) == Link("track", ID, ACCOUNT, f"{dashed(ID)}.flac", expiry)
    assert LINKS.resolve(EVERY[2]) == Link("upload", ID, None, "song 1.mp3", expiry)
    assert LINKS.resolve(EVERY[3]) == Link("put", ID, None, "song 1.mp3", int(NOW) + 60)
    for url in EVERY:
        path = urlsplit(url).path
        assert LINKS.resolve(path) == LINKS.resolve(url + "?download=1#t=3") == LINKS.resolve(url) is not None
        assert LINKS.resolve(f"http://another-name.example/prefix{path}") == LINKS.resolve(url)


def test_an_expired_link_is_known_but_leads_nowhere() -> None:
    clock = Clock()
    links = Links(BASE, SECRET, clock)
    url = links.stem_url(stem(), task())
    path = urlsplit(url).path
    clock.now = NOW + 999.9
    assert links.resolve(url) is not None
    clock.now = NOW + 1000
    assert links.resolve(url) is None and links.temporary(url, 60) is None
    link = links.read(path)
    assert link is not None and links.has_expired(link)


def test_another_secret_makes_other_links() -> None:
    others = Links(BASE, b"\1" * 32, Clock())
    assert all(others.resolve(url) is None for url in EVERY)


def test_a_temporary_link_never_outlives_the_one_it_was_made_from() -> None:
    short = LINKS.temporary(EVERY[0], 60)
    assert short is not None and short.endswith("_Backing_Vocals.mp3")
    link = LINKS.resolve(short)
    assert link is not None and (link.id, link.expires_at) == (ID, int(NOW) + 60)
    longer = LINKS.temporary(short, 5000)
    assert longer == short
    assert LINKS.temporary(EVERY[2], 60) is not None
    assert LINKS.temporary(EVERY[3], 60) is None, "a link that may be written with was turned into one that reads"
    assert LINKS.temporary("https://example.org/song.mp3", 60) is None


def test_the_permission_to_read_is_none_to_write() -> None:
    assert LINKS.resolve(EVERY[2].replace("/u/", "/p/", 1)) is None
    assert LINKS.resolve(EVERY[3].replace("/p/", "/u/", 1)) is None


@given(st.sampled_from(EVERY), st.data())
def test_any_change_of_the_path_breaks_a_link(url: str, data: st.DataObject) -> None:
    path = urlsplit(url).path
    where = data.draw(st.integers(0, len(path) - 1))
    width = data.draw(st.integers(0, 3))
    changed = path[:where] + data.draw(st.text(max_size=3)) + path[where + width :]
    assume(changed != path)
    read = LINKS.read(changed)
    assert read is None


@given(st.sampled_from(EVERY), st.sampled_from(EVERY), st.sampled_from(EVERY))
def test_parts_of_links_make_no_link(first: str, second: str, third: str) -> None:
    letter = urlsplit(first).path.split("/")[1]
    stamp = urlsplit(second).path.split("/")[2]
    name = urlsplit(third).path.split("/", 3)[3]
    made = f"/{letter}/{stamp}/{name}"
    assert (LINKS.resolve(made) is not None) == (first == second == third or made in {urlsplit(u).path for u in EVERY})


@given(st.text() | st.builds("/s/{}-{}/{}".format, st.integers(), st.text("0123456789abcdef", max_size=80), st.text()))
@example("http://[")
@example("/s/9999999999-" + "0" * 64 + "/x\ud800")
@example("/s/" + "9" * 5000 + "-" + "0" * 64 + "/x")
@example("/s/٩-" + "0" * 64 + "/x")
def test_no_text_of_a_strangers_is_a_link(text: str) -> None:
    assert LINKS.resolve(text) is None
    assert LINKS.read(text) is None


@given(
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=30).filter(
        lambda name: name not in (".", "..")
    )
)
@example("100% of %41?.mp3")
@example("a#b&c=d+e.mp3")
def test_any_name_of_an_upload_survives_its_url(name: str) -> None:
    url = LINKS.upload_url(upload(f"mine/{name}"))
    assert url.isascii()
    link = LINKS.resolve(url)
    assert link is not None and link.name == name
    assert url.endswith(quote(name))
