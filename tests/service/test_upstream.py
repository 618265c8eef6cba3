"""Songs of the vendors', looked up with the operator's key: known, unknown, slow, failing and silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stemwright.errors import UsageError
from stemwright.service import upstream
from stemwright.service.errors import SourceUnavailable, UpstreamTimeout
from stemwright.service.ids import new_id, parse_id
from stemwright.service.upstream import Upstream, vendor
from stemwright.settings import read_settings
from tests.service.conftest import Domain, OpenDomain
from tests.stand_in import CRUN_KEY, KIE_KEY, Fault, Song, StandIn, VendorTask, tone
from tests.waiting import PATIENCE_S

RECORD_INFO = "/api/v1/generate/record-info"
TASK_INFO = "/api/v1/client/job/TaskInfo"

SHORT_S = 0.2
"""A limit for replies that never come."""


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


def opened(domain: Domain, world: StandIn, *, kie: bool = True, crun: bool = False, **changes: Any) -> Upstream:
    usual = {
        "upstream_kie_key": KIE_KEY if kie else None,
        "upstream_crun_key": CRUN_KEY if crun else None,
        "upstream_kie_url": world.url,
        "upstream_crun_url": world.url,
        "upstream_timeout_s": PATIENCE_S,
    }
    return Upstream(read_settings(**usual | changes), domain.tracks)


def ids(task: VendorTask, place: int = 0) -> tuple[str, str]:
    task_id, audio_id = parse_id(task.id), parse_id(task.songs[place].id)
    assert task_id and audio_id
    return task_id, audio_id


@pytest.mark.parametrize("crun", [False, True])
def test_a_vendors_song_becomes_a_track_under_its_own_ids(domain: Domain, world: StandIn, crun: bool) -> None:
    account = domain.caller().account_id
    task = world.add_task(Song(tone(), "First", 1.0), Song(tone(), "Second", 2.0), crun=crun)
    task_id, audio_id = ids(task, 1)
    track = opened(domain, world, kie=not crun, crun=crun).look_up(account, task_id, audio_id)
    assert track is not None
    assert (track.id, track.task_id, track.position, track.origin) == (audio_id, task_id, 1, "vendor")
    assert (track.title, track.seconds, track.blob) == ("Second", 2.0, None)
    assert track.url == f"{world.url}/audio/{task.songs[1].id}.wav"
    assert track.details["title"] == "Second"
    assert [noted.title for noted in domain.tracks.of_task(account, task_id)] == ["First", "Second"]
    (request,) = world.received
    assert request.path == (TASK_INFO if crun else RECORD_INFO)
    assert request.query == ({"task_id": task.id} if crun else {"taskId": task.id})
    assert ("x-api-key" in request.headers, "authorization" in request.headers) == (crun, not crun)


def test_without_an_audio_id_it_is_the_first_song(domain: Domain, world: StandIn) -> None:
    task = world.add_task(Song(tone(), "First"), Song(tone(), "Second"))
    track = opened(domain, world).look_up(domain.caller().account_id, task.id)
    assert track is not None and track.title == "First"


def test_the_next_vendor_is_asked_where_the_first_knows_nothing(domain: Domain, world: StandIn) -> None:
    task = world.add_task(Song(tone()), crun=True)
    track = opened(domain, world, crun=True).look_up(domain.caller().account_id, *ids(task))
    assert track is not None
    assert [request.path for request in world.received] == [RECORD_INFO, TASK_INFO]


@pytest.mark.parametrize("crun", [False, True])
def test_what_nobody_knows_or_has_not_finished_is_none(domain: Domain, world: StandIn, crun: bool) -> None:
    account = domain.caller().account_id
    asked = opened(domain, world, kie=not crun, crun=crun)
    assert asked.look_up(account, new_id(), new_id()) is None
    task_id = parse_id(world.add_task(crun=crun).id)
    assert task_id and asked.look_up(account, task_id, new_id()) is None
    finished = world.add_task(Song(tone()), crun=crun)
    assert asked.look_up(account, ids(finished)[0], new_id()) is None  # the task, but not that song
    assert domain.tracks.list(account) == []


def test_without_a_key_or_offline_nobody_is_asked(domain: Domain, world: StandIn) -> None:
    task = world.add_task(Song(tone()))
    account = domain.caller().account_id
    assert opened(domain, world, kie=False).look_up(account, *ids(task)) is None
    assert opened(domain, world, offline=True).look_up(account, *ids(task)) is None
    assert not world.received


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("silent", UpstreamTimeout),
        ("drip", UpstreamTimeout),
        ("headerless", UpstreamTimeout),
        ("failing", SourceUnavailable),
        ("refusing", SourceUnavailable),
        ("busy", SourceUnavailable),
        ("garbage", SourceUnavailable),
        ("cut", SourceUnavailable),
    ],
)
@pytest.mark.parametrize("crun", [False, True])
def test_a_vendor_that_goes_wrong_is_told(
    domain: Domain, world: StandIn, fault: Fault, error: type[Exception], crun: bool
) -> None:
    task = world.add_task(Song(tone()), crun=crun)
    limit_s = SHORT_S if error is UpstreamTimeout else PATIENCE_S
    asked = opened(domain, world, kie=not crun, crun=crun, upstream_timeout_s=limit_s)
    account = domain.caller().account_id
    world.break_with(fault)
    with pytest.raises(error) as caught:
        asked.look_up(account, *ids(task))
    assert KIE_KEY not in str(caught.value) and CRUN_KEY not in str(caught.value)
    world.break_with(None)
    asked._timeout_s = PATIENCE_S
    assert asked.look_up(account, *ids(task)) is not None  # nothing of the failure stays


def test_a_slow_vendor_is_waited_for(domain: Domain, world: StandIn) -> None:
    task = world.add_task(Song(tone()))
    world.break_with("slow", seconds=0.3)
    assert opened(domain, world).look_up(domain.caller().account_id, *ids(task)) is not None


def test_a_vendor_that_is_gone_is_told(domain: Domain) -> None:
    with StandIn() as gone:
        asked = opened(domain, gone)
    with pytest.raises(SourceUnavailable, match="kie could not be reached"):
        asked.look_up(domain.caller().account_id, new_id(), new_id())


def test_one_vendors_failure_does_not_hide_the_others_song(domain: Domain, world: StandIn) -> None:
    task = world.add_task(Song(tone()), crun=True)
    world.break_with("failing", RECORD_INFO)
    asked = opened(domain, world, crun=True)
    account = domain.caller().account_id
    assert asked.look_up(account, *ids(task)) is not None
    with pytest.raises(SourceUnavailable):  # nobody can say that there is none
        asked.look_up(account, new_id(), new_id())


def test_a_wrong_key_of_the_operators_is_told(domain: Domain, world: StandIn) -> None:
    with pytest.raises(SourceUnavailable, match="code 401"):
        opened(domain, world, upstream_kie_key="wrong").look_up(domain.caller().account_id, new_id(), new_id())


def test_each_account_has_its_own_track_of_one_song(open_domain: OpenDomain, world: StandIn) -> None:
    domain = open_domain()
    task = world.add_task(Song(tone()))
    asked = opened(domain, world)
    alice, bob = domain.caller("alice").account_id, domain.caller("bob").account_id
    assert asked.look_up(alice, *ids(task)) is not None
    assert domain.tracks.get(bob, ids(task)[1]) is None
    assert asked.look_up(bob, *ids(task)) is not None
    domain.tracks.delete(alice, ids(task)[1])
    assert domain.tracks.get(bob, ids(task)[1]) is not None


SONG = {"id": "1f0c9a52-7a55-4f0e-9d2f-2a1b6f0f7c11", "audioUrl": "https://songs.example/a.mp3"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        "text",
        7,
        [],
        {},
        {"response": None},
        {"response": {"sunoData": None}},
        {"response": {"sunoData": "text"}},
        {"response": {"sunoData": [None, 7, "text", [], {}]}},
        {"response": {"sunoData": [SONG | {"id": "../../etc"}]}},
        {"response": {"sunoData": [SONG | {"audioUrl": ""}]}},
        {"response": {"sunoData": [SONG | {"audioUrl": None}]}},
        {"response": {"sunoData": [SONG | {"audioUrl": "https://songs.example/" + "a" * 10**4}]}},
    ],
)
def test_odd_answers_hold_no_song(domain: Domain, world: StandIn, data: object) -> None:
    world.answers[RECORD_INFO] = {"code": 200, "msg": "success", "data": data}
    assert opened(domain, world).look_up(domain.caller().account_id, new_id(), parse_id(SONG["id"])) is None


@pytest.mark.parametrize(
    ("odd", "title", "seconds"),
    [
        ({}, "song", None),
        ({"title": 7, "duration": "long"}, "song", None),
        ({"title": "a\nb\x00", "duration": 10**400}, "a_b_", None),
        ({"title": "t" * 500, "duration": -1}, "t" * 200, None),
        ({"title": "fine", "duration": 12}, "fine", 12.0),
    ],
)
def test_odd_songs_are_noted_as_far_as_they_make_sense(
    domain: Domain, world: StandIn, odd: dict[str, Any], title: str, seconds: float | None
) -> None:
    listed = {"sunoData": [None, SONG | odd]}
    world.answers[RECORD_INFO] = {"code": 200, "msg": "success", "data": {"response": listed}}
    track = opened(domain, world).look_up(domain.caller().account_id, new_id(), parse_id(SONG["id"]))
    assert track is not None
    assert (track.title, track.seconds, track.position) == (title, seconds, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"code":"200"}',
        b"[" * 100_000,
        b'{"code":200,"data":{"title":"\\ud800"}}',
        b'{"code":200,"data":NaN}',
        b"\xff\xfe",
        b" " * (upstream.MAX_RESPONSE_BYTES + 1),
    ],
    ids=lambda body: ascii(body)[:20],
)
def test_answers_that_make_no_sense_are_told(domain: Domain, world: StandIn, body: bytes) -> None:
    world.answers[RECORD_INFO] = body
    with pytest.raises(SourceUnavailable):
        opened(domain, world).look_up(domain.caller().account_id, new_id(), new_id())


@pytest.mark.parametrize("code", [404, 422])
def test_the_vendors_ways_to_know_nothing(domain: Domain, world: StandIn, code: int) -> None:
    world.answers[RECORD_INFO] = {"code": code, "msg": "Record does not exist", "data": None}
    assert opened(domain, world).look_up(domain.caller().account_id, new_id(), new_id()) is None


def test_keys_are_not_shown_where_a_vendor_is() -> None:
    found = vendor(read_settings(upstream_kie_key=KIE_KEY), "kie")
    assert found is not None and KIE_KEY not in repr(found)
    assert vendor(read_settings(upstream_kie_key=KIE_KEY), "crun") is None


def test_an_address_that_is_none_is_told_at_the_start() -> None:
    with pytest.raises(UsageError, match="STEMWRIGHT_UPSTREAM_CRUN_URL"):
        vendor(read_settings(upstream_crun_key=CRUN_KEY, upstream_crun_url="https://"), "crun")
