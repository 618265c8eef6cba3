"""How the rows of our own API, and those of files by their links, are provoked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import httpx

from stemwright.database import tables
from stemwright.errors import StorageError
from stemwright.service.ids import dashed, new_id
from stemwright.service.task import Task
from stemwright.storage.store import Store
from tests.api.codes import (
    BODIES,
    SECRET,
    Outcome,
    Stage,
    asking,
    bad_song,
    dripping,
    encoded,
    end,
    of_every_endpoint,
    outcome,
    provokes,
    scoped,
    sending,
)
from tests.api.codes_quota import full
from tests.api.conftest import Server

TRACKS, ORDERS = "/v1/tracks", "/v1/separations"
UNKNOWN = str(uuid.uuid4())
PREVIEWS = ("stems/vocals/peaks", "stems/vocals/segments/0", "mix/peaks", "mix/segments/0")
PICTURES = tuple(
    f"{part}{tile}"
    for part in ("stems/vocals/spectrogram", "stems/vocals/taken", "mix/spectrogram")
    for tile in ("", "/0/0")
)
FILES = ("stems.zip", "daw.zip", "stem.mp4", "mixdown")
READING = (
    *(
        ("GET", path)
        for path in (
            TRACKS,
            ORDERS,
            "/v1/account",
            "/v1/keys",
            "/v1/usage",
            "/v1/deliveries",
            "/v1/credits",
            "/v1/plans",
            f"{TRACKS}/{UNKNOWN}",
            f"{ORDERS}/{UNKNOWN}",
        )
    ),
    *(
        ("GET", f"{ORDERS}/{UNKNOWN}/{part}")
        for part in (*FILES, "events", "deliveries", "rendering", "renderings", *PREVIEWS, *PICTURES)
    ),
)
WRITING = (
    ("POST", TRACKS),
    ("POST", ORDERS),
    ("DELETE", f"{TRACKS}/{UNKNOWN}"),
    ("DELETE", f"{ORDERS}/{UNKNOWN}"),
    ("PUT", f"{ORDERS}/{UNKNOWN}/rendering"),
    ("DELETE", f"{ORDERS}/{UNKNOWN}/rendering"),
    ("POST", "/v1/keys"),
    ("DELETE", f"/v1/keys/{UNKNOWN}"),
    ("POST", f"{ORDERS}/{UNKNOWN}/cancel"),
    ("POST", f"{ORDERS}/{UNKNOWN}/deliveries/replay"),
)


of_every_endpoint("own", *READING, *WRITING)


@provokes("own", "POST, DELETE", "key without write")
def cannot_write(stage: Stage) -> list[Outcome]:
    return scoped(stage, "read", *WRITING)


@provokes("own", "GET", "key without read")
def cannot_read(stage: Stage) -> list[Outcome]:
    return scoped(stage, "write", *READING)


def asked(endpoint: str, cause: str, *requests: tuple[str, str]) -> None:
    """Provokes with requests that have no body."""

    @provokes("own", endpoint, cause)
    def ask(stage: Stage) -> list[Outcome]:
        server = stage.server()
        return asking(server, server.client, *requests)


asked("any other path under /v1/", "–", ("GET", "/v1/nothing"), ("POST", "/v1/"))
asked("every endpoint", "wrong method", ("PUT", TRACKS), ("PATCH", f"{ORDERS}/{UNKNOWN}"), ("DELETE", "/v1/plans"))
asked(
    "/v1/tracks/{id}",
    "no track of yours has the id",
    *((method, f"{TRACKS}/{UNKNOWN}") for method in ("GET", "DELETE")),
)


@provokes("own", "PATCH /v1/tracks/{id}", "title is missing, or holds nothing")
def rename_to_nothing(stage: Stage) -> list[Outcome]:
    server = stage.server()
    path = f"{TRACKS}/{server.add_track().id}"
    bodies: tuple[dict[str, str], ...] = ({}, {"title": ""}, {"title": "  "})
    return [outcome(server, partial(server.client.patch, path, json=body)) for body in bodies]


asked(
    "/v1/separations/{id} and what is below it",
    "no separation of yours has the id",
    *((method, path) for method, path in (*READING, *WRITING) if path.startswith(f"{ORDERS}/")),
)
for name in (TRACKS, ORDERS):
    asked(f"GET {name}", "limit is not from 1 to 100", ("GET", f"{name}?limit=0"), ("GET", f"{name}?limit=101"))
    asked(f"GET {name}", "after is not an id", ("GET", f"{name}?after=here"))
    asked(f"GET {name}", "after is gone", ("GET", f"{name}?after={UNKNOWN}"))
asked(f"GET {ORDERS}", "order is not one of the four", ("GET", f"{ORDERS}?order=loudest"))
asked(f"GET {ORDERS}", "state is not one of the five", ("GET", f"{ORDERS}?state=done"))
encoded("own", TRACKS, ORDERS)
for cause, content in BODIES.items():
    provokes("own", "POST with JSON", cause)(sending(content, TRACKS, ORDERS))
provokes("own", "POST with JSON", "the body does not come within a minute")(dripping(ORDERS, b"{"))

# --- keys, usage, deliveries


def creating_key(cause: str, *bodies: dict[str, object]) -> None:
    """Provokes with bodies of a new key."""

    @provokes("own", "POST /v1/keys", cause)
    def create(stage: Stage) -> list[Outcome]:
        server = stage.server()
        return [outcome(server, partial(server.client.post, "/v1/keys", json=body)) for body in bodies]


creating_key("the name or the scopes make no sense", {}, {"name": " "}, {"name": "a", "scopes": []})
creating_key("a scope that the key lacks", {"name": "root", "scopes": ["operator"]})
creating_key("a key of the account has the name", {"name": "alice"})
asked("DELETE /v1/keys/{id}", "no key of yours has the id", ("DELETE", f"/v1/keys/{UNKNOWN}"))
asked("GET /v1/usage", "days is not from 1 to 366", ("GET", "/v1/usage?days=0"), ("GET", "/v1/usage?days=367"))
asked("GET /v1/deliveries", "after is gone", ("GET", f"/v1/deliveries?after={UNKNOWN}"))

# --- operators

OPERATING = (
    *(("GET", f"/v1/operator{path}") for path in ("", "/tasks", "/throughput", "/settings", "/models")),
    ("PUT", "/v1/operator/maintenance"),
    ("POST", "/v1/operator/models/none/download"),
)


@provokes("own", "/v1/operator and what is below it", "key without operator")
def no_operator(stage: Stage) -> list[Outcome]:
    return scoped(stage, "read", *OPERATING)


def operating(endpoint: str, cause: str, method: str, path: str, body: object = None) -> None:
    """Provokes with a request of an operator."""

    @provokes("own", endpoint, cause)
    def operate(stage: Stage) -> Outcome:
        server = stage.server()
        with server.another(scopes=("operator",)) as root:
            return outcome(server, partial(root.request, method, path, json=body))


operating("GET /v1/operator/tasks", "after is gone", "GET", f"/v1/operator/tasks?after={UNKNOWN}")
operating("GET /v1/operator/throughput", "hours is not from 1 to 744", "GET", "/v1/operator/throughput?hours=0")
operating("PUT /v1/operator/maintenance", "on is no boolean", "PUT", "/v1/operator/maintenance", {"on": 1})
operating("POST /v1/operator/models/{name}/download", "no model has the name", "POST", OPERATING[-1][1])
operating(
    "POST /v1/operator/models/{name}/download",
    "the model is on disk",
    "POST",
    "/v1/operator/models/stemwright-12/download",
)

# --- sessions of browsers


def signing_in(cause: str, *bodies: dict[str, str], header: str = "X-Stemwright-Page") -> None:
    """Provokes with bodies of a sign-in."""

    @provokes("own", "POST /v1/session", cause)
    def sign_in(stage: Stage) -> list[Outcome]:
        server = stage.server()
        with httpx.Client(base_url=server.url, headers={header: "1"}) as browser:
            return [outcome(server, partial(browser.post, "/v1/session", json=body)) for body in bodies]


signing_in("wrong key", {"key": "sw_wrong"})
signing_in("the link was used", {"link": "used"})
signing_in("neither key nor link, or both", {}, {"key": "a", "link": "b"})
signing_in("the header of the player is missing", {"key": "sw_wrong"}, header="X-Other")


@provokes("own", "POST, DELETE", "a session without the header of the player")
def forged(stage: Stage) -> list[Outcome]:
    server = stage.server()
    with httpx.Client(base_url=server.url) as browser:
        signed_in = browser.post("/v1/session", json={"key": server.key}, headers={"X-Stemwright-Page": "1"})
        assert signed_in.status_code == 201
        return asking(server, browser, *WRITING)


# --- streams of events


def streaming(cause: str, **settings: int) -> None:
    """Provokes with one stream more than there may be."""

    @provokes("own", f"GET {ORDERS}/{{id}}/events", cause)
    def stream(stage: Stage) -> Outcome:
        server = stage.server(**settings)
        path = f"{ORDERS}/{server.client.post(ORDERS, json={'url': 'https://files.example/a.mp3'}).json()['id']}/events"
        with server.client.stream("GET", path) as held:
            assert held.status_code == 200
            return outcome(server, lambda: server.client.get(path))


streaming("the account has too many streams open", account_event_streams=1)
streaming("the server has too many streams open", event_streams=1)

# --- peaks and segments


def previewing(endpoint: str, cause: str, *paths: str, content: bytes | None = None) -> None:
    """Provokes with what a separation that succeeded has not got; ``content`` takes the place of its stems."""

    @provokes("own", endpoint, cause)
    def preview(stage: Stage) -> list[Outcome]:
        server = stage.server()
        made = server.client.post(ORDERS, json={"track_id": server.add_track().id, "format": "mp3"}).json()
        task = server.succeed(made["id"].replace("-", ""))
        if content is not None:
            stored = server.service.store.local_path(task.stems[0].blob)
            assert stored is not None
            stored.write_bytes(content)
            with server.service.database.write() as session:  # what an earlier row had drawn of the same file
                session.query(tables.DerivedFile).delete()
        headers = {"Range": "bytes=99999999-"} if "Range" in cause else {}
        if cause == "the song was deleted":
            assert server.client.delete(f"{TRACKS}/{made['track_id']}").status_code == 204
        return [
            outcome(server, lambda path=path: server.client.get(f"{ORDERS}/{made['id']}/{path}", headers=headers))  # type: ignore[misc]
            for path in paths
        ]


@provokes("own", f"GET {ORDERS}/{{id}}/stems/… and /mix/…", "it has no stems")
def no_stems_to_play(stage: Stage) -> list[Outcome]:
    server = stage.server()
    made = server.client.post(ORDERS, json={"track_id": server.add_track().id}).json()
    return asking(server, server.client, *(("GET", f"{ORDERS}/{made['id']}/{path}") for path in (*PREVIEWS, *PICTURES)))


previewing(
    f"GET {ORDERS}/{{id}}/stems/{{stem}}/…",
    "it has no such stem",
    *(
        f"stems/drums/{rest}"
        for rest in ("peaks", "segments/0", "spectrogram", "spectrogram/0/0", "taken", "taken/0/0")
    ),
)
previewing(
    "GET …/segments/{number}",
    "no segment has the number",
    "stems/vocals/segments/1",
    "mix/segments/1",
    "mix/segments/x",
)
previewing("GET …/segments/{number}", "Range is outside the segment", "stems/vocals/segments/0", "mix/segments/0")
previewing(
    f"GET {ORDERS}/{{id}}/mix/…, GET …/taken", "the song was deleted", "mix/peaks", "mix/segments/0", *PICTURES[2:]
)
previewing(
    "GET …/spectrogram/{level}/{number}, GET …/taken/{level}/{number}",
    "no tile has the level and number",
    *(f"{part}/{tile}" for part in PICTURES[::2] for tile in ("0/1", "1/0", "0/x")),
)
previewing(
    "GET …/peaks, GET …/segments/{number}, GET …/spectrogram, GET …/taken",
    "the file is damaged",
    *PREVIEWS[:2],
    *PICTURES[:4],
    content=b"damaged",
)

# --- mixdown


def mixing(cause: str, query: str = "", file: str = "mixdown", seconds: float = 0.3, **facts: object) -> None:
    """Provokes with a separation that succeeded, and the query of one of its files."""

    @provokes("own", f"GET {ORDERS}/{{id}}/{file}", cause)
    def mix(stage: Stage) -> Outcome:
        server = stage.server()
        made = server.client.post(ORDERS, json={"track_id": server.add_track().id, "format": "mp3"}).json()
        task = server.succeed(made["id"].replace("-", ""))
        with server.service.database.write() as session:
            row = session.get_one(tables.Task, task.id)
            row.facts, row.seconds = facts, seconds
        return outcome(server, lambda: server.client.get(f"{ORDERS}/{made['id']}/{file}?{query}"))


@provokes("own", f"GET {ORDERS}/{{id}}/mixdown, GET …/daw.zip, GET …/stem.mp4", "it has no stems")
def no_stems_to_mix(stage: Stage) -> list[Outcome]:
    server = stage.server()
    made = server.client.post(ORDERS, json={"track_id": server.add_track().id}).json()
    files = ("mixdown", "daw.zip", "stem.mp4")
    return asking(server, server.client, *(("GET", f"{ORDERS}/{made['id']}/{file}") for file in files))


mixing("a fader is malformed", "stem=vocals")
mixing("it has no such stem", "stem=drums:1")
mixing("master is not from 0 to 4", "master=5")
mixing("more than 32 faders", "&".join(["stem=vocals:1"] * 33))
mixing("its length is not known")
mixing("it has more than 4 GB", sample_rate=44_100, samples=2**30)
mixing("its length is not known", file="daw.zip")
mixing("a stem has more than 4 GB", file="daw.zip", sample_rate=44_100, samples=2**30)
for cause, groups in {
    "a group is malformed": ("vocals",),
    "there are not four groups": ("A:vocals",),
    "there are more than four": ("A:", "B:", "C:", "D:", "E:"),
    "the name of a group is missing or too long": ("A:vocals", "B:instrumental", "C:", ":"),
    "it has no such stem": ("A:drums", "B:", "C:", "D:"),
    "a stem is in two groups": ("A:vocals", "B:vocals", "C:", "D:"),
    "a stem that plays is in no group": ("A:vocals", "B:", "C:", "D:"),
}.items():
    mixing(cause, "&".join(f"group={group}" for group in groups), "stem.mp4")
mixing("codec is neither aac nor alac", "codec=mp3", "stem.mp4")
mixing("the song is longer than 15 minutes", file="stem.mp4", seconds=901)

# --- renderings

RENDERING = f"{ORDERS}/{{id}}/rendering"


def rendering(
    endpoint: str, cause: str, *requests: tuple[str, str], ready: Callable[[Stage, Task], None] | None = None
) -> None:
    """Provokes with a separation that succeeded, and requests below it."""

    @provokes("own", endpoint, cause)
    def provoke(stage: Stage) -> list[Outcome]:
        server = stage.server()
        made = server.client.post(ORDERS, json={"track_id": server.add_track().id, "format": "mp3"}).json()
        task = server.succeed(made["id"].replace("-", ""))
        with server.service.database.write() as session:
            session.get_one(tables.Task, task.id).facts = {"sample_rate": 44_100, "samples": 13_230}
        if ready is not None:
            ready(stage, task)
        return asking(server, server.client, *((method, f"{ORDERS}/{made['id']}/{rest}") for method, rest in requests))


def lasting(seconds: float | None) -> Callable[[Stage, Task], None]:
    def change(stage: Stage, task: Task) -> None:
        facts = {} if seconds is None else {"sample_rate": 44_100, "samples": round(44_100 * seconds)}
        with stage.server().service.database.write() as session:
            session.get_one(tables.Task, task.id).facts = facts

    return change


def being_made(*rows: dict[str, Any]) -> Callable[[Stage, Task], None]:
    """Renderings as another server would have them."""

    def add(stage: Stage, task: Task) -> None:
        service = stage.server().service
        facts = {"state": "running", "progress": 0.5, "sample_rate": 44_100, "samples": 16_538, "transposition": 0}
        times = {"created_at": service.clock(), "claimed_until": service.clock() + 3600}
        with service.database.write() as session:
            session.query(tables.Rendering).delete()
            for row in rows:
                session.add(tables.Rendering(id=new_id(), task_id=task.id, **{**facts, **times, **row}))

    return add


@provokes("own", f"PUT {RENDERING}", "it has no stems")
def no_stems_to_render(stage: Stage) -> list[Outcome]:
    server = stage.server()
    made = server.client.post(ORDERS, json={"track_id": server.add_track().id}).json()
    return asking(server, server.client, ("PUT", f"{ORDERS}/{made['id']}/rendering?speed=0.8"))


@provokes("own", f"PUT {RENDERING}", "the account keeps as much as it may")
def no_quota_to_render(stage: Stage) -> Outcome:
    server = full(stage)
    task_id = new_id()
    now = server.service.clock()
    with server.service.database.write() as session:
        session.add(
            tables.Task(
                id=task_id,
                account_id=server.caller.account_id,
                face="native",
                kind="v1",
                state="succeeded",
                stems="two",
                plan="fast",
                format="mp3",
                track_id=None,
                facts={"sample_rate": 44_100, "samples": 13_230},
                created_at=now,
                expires_at=now + 3600,
            )
        )
    return outcome(server, lambda: server.client.put(f"{ORDERS}/{task_id}/rendering?speed=0.8"))


@provokes("own", f"PUT {RENDERING}", "the disk is full")
def no_disk_to_render(stage: Stage) -> list[Outcome]:
    server = stage.server()
    made = server.client.post(ORDERS, json={"track_id": server.add_track().id, "format": "mp3"}).json()
    task = server.succeed(made["id"].replace("-", ""))
    lasting(10)(stage, task)
    with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=0)):
        return asking(server, server.client, ("PUT", f"{ORDERS}/{made['id']}/rendering?speed=0.8"))


WITH_SPEED = (
    ("PUT", "rendering"),
    *(("GET", path) for path in (*PREVIEWS, *FILES)),
)
rendering(
    f"PUT {RENDERING}, and what takes its query",
    "speed is not from 0.5 to 2",
    *((method, f"{path}?speed=3") for method, path in WITH_SPEED),
)
rendering(
    f"PUT {RENDERING}, and what takes its query",
    "semitones is not from -12 to 12",
    *((method, f"{path}?semitones=nan") for method, path in WITH_SPEED),
)
rendering(f"PUT {RENDERING}", "nothing would change", ("PUT", "rendering?speed=1&semitones=0"))
rendering(f"PUT {RENDERING}", "its length is not known", ("PUT", "rendering?speed=2"), ready=lasting(None))
rendering(f"PUT {RENDERING}", "the song is longer than 15 minutes", ("PUT", "rendering?speed=2"), ready=lasting(901))
rendering(
    f"PUT {RENDERING}",
    "four are being made",
    ("PUT", "rendering?speed=2"),
    ready=being_made(*({"speed": speed} for speed in (500, 600, 700, 800))),
)
rendering(
    f"GET {RENDERING}, and what takes its query",
    "it was not made",
    *(("GET", f"{path}?speed=0.7") for path in ("rendering", *PREVIEWS, *FILES)),
)
rendering(
    "what takes the query of a rendering",
    "it is being made",
    *(("GET", f"{path}?speed=0.7") for path in (*PREVIEWS, *FILES)),
    ready=being_made({"speed": 700}),
)
rendering(
    "what takes the query of a rendering",
    "it could not be made",
    *(("GET", f"{path}?speed=0.7") for path in (*PREVIEWS, *FILES)),
    ready=being_made({"speed": 700, "state": "failed", "error": "This file cannot be read."}),
)

# --- POST /v1/tracks


def uploading(
    cause: str,
    *files: tuple[str, bytes],
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
    **data: str,
) -> None:
    """Provokes with a form, by default of a whole client's, or with ``content`` in place of one."""

    @provokes("own", "POST /v1/tracks, a form", cause)
    def upload(stage: Stage) -> Outcome:
        server = stage.server(max_upload_mb=1)
        if content is not None:
            return outcome(server, lambda: server.client.post(TRACKS, content=content, headers=headers))
        parts = [(name, ("a.mp3", sound)) for name, sound in files]
        return outcome(server, lambda: server.client.post(TRACKS, files=parts, data=data))


def _part(disposition: str) -> bytes:
    return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nsound\r\n".encode()


IN_FORM = {"Content-Type": "multipart/form-data; boundary=b"}
uploading("file is missing", content=_part('name="title"') + b"--b--\r\n", headers=IN_FORM)
uploading("the file is empty", ("file", b""))
uploading("the file is in another field", ("song", b"sound"))
uploading("two files", ("file", b"sound"), ("file", b"sound"))
uploading("title has more than 500 characters", ("file", b"sound"), title="a" * 501)
uploading("an unknown field", ("file", b"sound"), artist="me")
uploading("the file is too large", ("file", b"a" * 1_000_001))
uploading("the form is cut off", content=_part('name="file"; filename="a"'), headers=IN_FORM)
uploading("fields of more than 10 kB", ("file", b"sound"), title="a" * 10_001)
uploading("hundreds of parts", content=_part('name="title"') * 1000, headers=IN_FORM)
provokes("own", "POST /v1/tracks, a form", "no byte arrives for a minute")(dripping(TRACKS, b"--b\r\n", IN_FORM))
uploading("no boundary", content=b"sound", headers={"Content-Type": "multipart/form-data"})


@provokes("own", "POST /v1/tracks, a form", "nothing can be stored")
def without_room(stage: Stage) -> Outcome:
    server = stage.server()
    with mock.patch.object(
        Store, "file_writer", side_effect=StorageError(f"No room is left in {SECRET}: free some space.")
    ):
        return outcome(server, lambda: server.client.post(TRACKS, files={"file": b"sound"}))


def naming(cause: str, body: dict[str, Any]) -> None:
    @provokes("own", "POST /v1/tracks, JSON", cause)
    def name(stage: Stage) -> Outcome:
        server = stage.server()
        return outcome(server, lambda: server.client.post(TRACKS, json=body))


naming("url is missing", {})
naming("url is no string", {"url": 7})
naming("url is malformed", {"url": "song.mp3"})
naming("title is no string", {"url": "https://files.example/a.mp3", "title": 7})
naming("title has more than 500 characters", {"url": "https://files.example/a.mp3", "title": "a" * 501})
naming("an unknown field", {"url": "https://files.example/a.mp3", "artist": "me"})

# --- POST /v1/separations


def post(server: Server, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    """An order with changes; None leaves a field out."""
    fields = {"track_id": dashed(server.add_track().id), **changes}
    body = {name: value for name, value in fields.items() if value is not None}
    return server.client.post(ORDERS, json=body, headers=headers)


FIELDS: dict[str, dict[str, Any]] = {
    "no track_id and no url": {"track_id": None},
    "track_id and url": {"url": "https://files.example/a.mp3"},
    "track_id is no string": {"track_id": 7},
    "no track of yours has the track_id": {"track_id": UNKNOWN},
    "url is no string": {"track_id": None, "url": 7},
    "url is malformed": {"track_id": None, "url": "song.mp3"},
    "stems is no string and no list": {"stems": 2},
    "a name in stems is unknown": {"stems": ["drums", "kazoo"]},
    "playing is no string and no list": {"playing": 2},
    "a name in playing is unknown": {"playing": ["drums", "kazoo"]},
    "playing names no stem": {"playing": []},
    "a stem that is asked for is not in playing": {"stems": ["guitar"], "playing": ["drums"]},
    "plan is no string": {"plan": 7},
    "plan is unknown": {"plan": "slow"},
    "format is unknown": {"format": "midi"},
    "bit_depth is not one of the three": {"bit_depth": 8},
    "bit_depth with a lossy format": {"format": "mp3", "bit_depth": 16},
    "bitrate_kbps is no integer": {"format": "mp3", "bitrate_kbps": "high"},
    "bitrate_kbps is outside the format's": {"format": "mp3", "bitrate_kbps": 9000},
    "bitrate_kbps with a lossless format": {"bitrate_kbps": 192},
    "callback_url is no string": {"callback_url": 7},
    "callback_url is malformed": {"callback_url": "hook"},
    "priority is outside -10 to 10": {"priority": 11},
    "an unknown field": {"stem": "drums"},
}
for cause, changes in FIELDS.items():

    @provokes("own", "POST /v1/separations", cause)
    def order(stage: Stage, changes: dict[str, Any] = changes) -> Outcome:
        server = stage.server()
        return outcome(server, lambda: post(server, **changes))


@provokes("own", "POST /v1/separations", "Idempotency-Key has more than 255 characters")
def long_key(stage: Stage) -> Outcome:
    server = stage.server()
    return outcome(server, lambda: post(server, {"Idempotency-Key": "a" * 256}))


@provokes("own", "POST /v1/separations", "Idempotency-Key was used with another body")
def reused(stage: Stage) -> Outcome:
    server, headers = stage.server(), {"Idempotency-Key": str(uuid.uuid4())}
    assert post(server, headers).status_code == 201
    return outcome(server, lambda: post(server, headers, stems="twelve"))


@provokes("own", "POST /v1/separations", "credits gone")
def credits_gone(stage: Stage) -> Outcome:
    server = stage.server(prices={"v1": 5})
    body = {"url": "https://files.example/a.mp3"}
    with server.another(credits_hundredths=4_99) as client:
        return outcome(server, lambda: client.post(ORDERS, json=body))


def again(server: Server) -> Outcome:
    """The second of two orders."""
    post(server)
    return outcome(server, lambda: post(server))


@provokes("own", "POST /v1/separations", "too fast, where a limit is set")
def too_fast(stage: Stage) -> Outcome:
    return again(stage.server(rate_limit="1/600", native_rate_limit="1/600"))


@provokes("own", "POST /v1/separations", "too many under way")
def too_many(stage: Stage) -> Outcome:
    return again(stage.server(max_running=1))


@provokes("own", "POST /v1/separations", "maintenance")
def maintenance(stage: Stage) -> Outcome:
    server = stage.closed()
    return outcome(server, lambda: post(server))


@provokes("own", "POST /v1/separations", "v1 is switched off")
def switched_off(stage: Stage) -> Outcome:
    server = stage.server(disabled="separate_vocal,vocal,v1")
    return outcome(server, lambda: post(server))


# --- what a separation can be asked for in its state


def under_way(endpoint: str, method: str, path: str, cause: str = "it is under way", **changes: Any) -> None:
    @provokes("own", endpoint, cause)
    def ask(stage: Stage) -> Outcome:
        server = stage.server()
        made = post(server, **changes).json()
        return outcome(server, lambda: server.client.request(method, path.format(**made)))


under_way("DELETE /v1/separations/{id}", "DELETE", "/v1/separations/{id}")
under_way("GET /v1/separations/{id}/stems.zip", "GET", "/v1/separations/{id}/stems.zip", "it has no stems")
replay = "/v1/separations/{id}/deliveries/replay"
under_way(f"POST {replay}", "POST", replay, "it has no callback_url")
under_way(f"POST {replay}", "POST", replay, callback_url="https://client.example/hook")
under_way("DELETE /v1/tracks/{id}", "DELETE", "/v1/tracks/{track_id}", "a separation of it is under way")


def ended(stage: Stage, how: str, *, called_back: bool) -> Outcome:
    """Makes a separation and has it end; tells what its record, or the callback, says of that."""
    server = stage.server(prices={"v1": 5}, max_upload_mb=1)
    changes: dict[str, Any] = {"callback_url": f"{stage.world.url}/hook/own", "track_id": dashed(bad_song(server).id)}
    if how == "unfetched":
        changes |= {"track_id": None, "url": f"{stage.world.url}/faults/status?code=404"}
    made = str(post(server, **changes).json()["id"])
    known = made.replace("-", "")
    if how == "cancelled":
        server.client.post(f"{ORDERS}/{made}/cancel")
    else:
        stage.work(server, known)
    reply = server.client.get(f"{ORDERS}/{made}")
    body, status, state = reply.json(), str(reply.status_code), "cancelled" if how == "cancelled" else "failed"
    if called_back:
        server.deliver()
        event = next(one.json for one in stage.world.of("/hook/own") if one.json["data"].get("id") == made)
        assert event["type"] == f"separation.{state}" and event["data"] == body
        status = "–"
    assert body["state"] == state and body["stems"] == []
    code = f"error.code {body['error']['code']}" if body["error"] else "state cancelled"
    return end(server, known, status, code, body["error"]["message"] if body["error"] else "–")


for cause, how in (
    ("the song could not be fetched", "unfetched"),
    ("the separation failed", "failed"),
    ("it was cancelled", "cancelled"),
):

    @provokes("own", "GET /v1/separations/{id}", cause)
    def recorded(stage: Stage, how: str = how) -> Outcome:
        return ended(stage, how, called_back=False)

    @provokes("own", "callback", cause)
    def called(stage: Stage, how: str = how) -> Outcome:
        return ended(stage, how, called_back=True)
