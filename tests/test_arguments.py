"""Public calls take what converts without loss, and refuse all else in one sentence: never with an error of Python's own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import stemwright
from stemwright import Client, Options, Separator, StemwrightError, arguments
from stemwright.client.errors import ApiError, FieldError, SeparationFailedError, ServerError
from stemwright.errors import UsageError
from stemwright.evaluation.evaluate import evaluate_estimates, evaluate_plan
from stemwright.stems import select
from tests.separation.engines import LocalMasks

INVALID_NUMBERS: tuple[Any, ...] = (
    None,
    True,
    "",
    "a",
    "44.1k",
    [],
    [1],
    {},
    1j,
    np.zeros(2),
    float("nan"),
    float("inf"),
    object(),
)


INVALID_FORMATS: tuple[Any, ...] = (None, 3, "midi", [])
INVALID_FOLDERS: tuple[Any, ...] = (3, [], "s3://bucket", "a\0")


class RaisesOnUse:
    """Raises whatever is done with it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __float__(self) -> float:
        raise ZeroDivisionError

    def __index__(self) -> int:
        raise KeyError("no index")

    def __str__(self) -> str:
        raise OSError("no text")

    def __len__(self) -> int:
        raise AttributeError("no length")


def one_sentence(error: BaseException) -> str:
    sentence = str(error)
    assert sentence and "\n" not in sentence and len(sentence) < 500
    return sentence


class TestPaths:
    @pytest.mark.parametrize("given", ["a/b", b"a/b", Path("a/b"), bytearray(b"a/b")])
    def test_what_names_a_path_is_taken(self, given: Any) -> None:
        assert arguments.path(given, "song") == Path("a/b")

    def test_bytes_that_are_no_unicode_are_taken(self) -> None:
        assert os.fsencode(arguments.path(b"caf\xe9.wav", "song")) == b"caf\xe9.wav"

    @pytest.mark.parametrize("given", [None, 3, 1.5, [], ["a"], object(), RaisesOnUse(), "", b"", "a\0b"])
    def test_what_names_none_is_refused(self, given: Any) -> None:
        with pytest.raises(UsageError) as caught:
            arguments.path(given, "song")
        assert "song" in one_sentence(caught.value)

    @pytest.mark.parametrize("kind", [str, Path, os.fsencode])
    @pytest.mark.parametrize("address", ["https://example.org/a/song.mp3", "HTTP://example.org", "ftp://h/s.wav"])
    def test_an_address_is_told_what_to_do_and_is_written_as_it_was(
        self, address: str, kind: Callable[[str], Any]
    ) -> None:
        with pytest.raises(UsageError) as caught:
            arguments.path(kind(address), "song")
        sentence = one_sentence(caught.value)
        assert address in sentence and "download it first" in sentence and "curl" in sentence

    @pytest.mark.parametrize("address", ["s3://bucket/songs", "file:///music/a.wav", "gs://a/b", "rtmp://h/x"])
    def test_other_addresses_and_folders_too(self, address: str) -> None:
        for name in ("song", "out"):
            with pytest.raises(UsageError) as caught:
                arguments.path(Path(address), name)
            assert address in one_sentence(caught.value)

    @pytest.mark.parametrize("name", ["C:/music/song.mp3", "a: b.wav", "12:30.wav", "AC/DC: live/1.wav", "x:y/z.wav"])
    def test_a_name_with_a_colon_is_no_address(self, name: str) -> None:
        assert arguments.path(name, "song") == Path(name)

    def test_a_folder_that_is_named_like_an_address_is_a_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "https:" / "a").mkdir(parents=True)
        assert arguments.path("https://a", "song") == Path("https:/a")


class TestNumbers:
    @pytest.mark.parametrize(
        "given",
        [
            *(44_100, 44_100.0, "44100", " 44100 ", "44100.0", b"44100", Decimal(44_100), Fraction(44_100)),
            *(np.int64(44_100), np.uint16(44_100), np.float32(44_100), np.array(44_100)),
        ],
    )
    def test_whole_numbers_of_any_type_are_taken(self, given: Any) -> None:
        found = arguments.whole(given, "rate", "Hz", lowest=1, highest=10**6)
        assert (found, type(found)) == (44_100, int)

    @pytest.mark.parametrize(
        "given", [*INVALID_NUMBERS, 44_100.5, "1.5", 0, -1, 10**400, "1e400", np.bool_(True), RaisesOnUse()]
    )
    def test_what_is_none_is_refused(self, given: Any) -> None:
        with pytest.raises(UsageError) as caught:
            arguments.whole(given, "rate", "Hz", lowest=1, highest=10**6)
        assert one_sentence(caught.value).startswith("rate is ")

    def test_whole_numbers_beyond_floats_are_exact(self) -> None:
        assert arguments.whole(2**60 + 1, "n", "samples", lowest=0, highest=2**62) == 2**60 + 1

    @pytest.mark.parametrize("given", [True, False, 1, 0, np.True_, np.int8(0)])
    def test_flags(self, given: Any) -> None:
        assert arguments.flag(given, "resume") is bool(given)

    @pytest.mark.parametrize("given", [None, "no", "True", 2, -1, 0.5, [], RaisesOnUse()])
    def test_what_is_no_flag_is_refused(self, given: Any) -> None:
        with pytest.raises(UsageError, match="True or False"):
            arguments.flag(given, "resume")


class TestStems:
    @pytest.mark.parametrize("given", [["drums"], ("drums",), iter(["drums"]), {"drums": 1}, "Drums ,", ["DRUMS "]])
    def test_a_series_of_names_is_taken(self, given: Any) -> None:
        assert select(given).names == ("drums", "residual")

    def test_a_mode_in_a_list_is_the_mode(self) -> None:
        assert select(["two"]).mode == "two"
        assert select(["twelve"]).mode == "twelve"

    @pytest.mark.parametrize("given", [None, 2, b"drums", [b"drums"], [["drums"]], ["drums", None], [], "", object()])
    def test_all_else_is_refused(self, given: Any) -> None:
        with pytest.raises(UsageError) as caught:
            select(given)
        assert "stem" in one_sentence(caught.value)


class TestOptions:
    def test_what_converts_is_converted(self) -> None:
        given: dict[str, Any] = {"bit_depth": "24", "start_s": "1.5", "duration_s": np.float32(2), "resume": 1}
        taken = Options(stems=["drums", "bass"], out=None, format="FLAC", **given)  # type: ignore[arg-type]
        assert (taken.stems, taken.out, taken.format, taken.bit_depth) == ("drums,bass", Path("stems"), "flac", 24)
        assert (taken.start_s, taken.duration_s, taken.resume) == (1.5, 2.0, True)
        assert Options(out=b"parts").folder == Path("parts")

    @pytest.mark.parametrize(
        "given",
        [{"start_s": value} for value in (*INVALID_NUMBERS, -1, 1e30)]
        + [{"duration_s": value} for value in (*INVALID_NUMBERS[1:], 0, -1, 1e30)]
        + [{"bit_depth": value} for value in (*INVALID_NUMBERS[1:], 16.5, 0)]
        + [{"bitrate_kbps": value} for value in (*INVALID_NUMBERS[1:], 128.5, 0)]
        + [{"format": value} for value in (*INVALID_FORMATS, RaisesOnUse())]
        + [{"out": value} for value in INVALID_FOLDERS]
        + [{"stems": None}, {"stems": ["banjo"]}, {"resume": "no"}, {"overwrite": None}],
    )
    def test_all_else_is_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(UsageError) as caught:
            Options(**given)
        one_sentence(caught.value)


class TestClients:
    def test_the_address_and_the_key_are_checked(self) -> None:
        for url in (None, 3, "", "stems.example.org", "ftp://a", "http://", "https://[::1", b"http://a"):
            with pytest.raises(UsageError, match="url"):
                Client(url, key="k")  # type: ignore[arg-type]
        for key in (None, 3, "", "a\nb", "schlüssel", b"k"):
            with pytest.raises(UsageError, match="key"):
                Client(key=key)  # type: ignore[arg-type]
        for timeout_s in (*INVALID_NUMBERS, 0, -1):
            with pytest.raises(UsageError, match="timeout_s"):
                Client(key="k", timeout_s=timeout_s)

    @pytest.mark.parametrize("error", [
        ApiError(422, "urn:x", "Invalid", "No such stem.", (FieldError("stems", "unknown"),)),
        ServerError(503, "about:blank", "Busy", "Later."),
    ])  # fmt: skip
    def test_errors_pass_between_processes(self, error: ApiError) -> None:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.complex_numbers(),
    st.sampled_from(
        [
            *("two", "drums,bass", "fast", "wav", "cpu", "songs", "44100", "permissive", "sw_key"),
            *("https://example.org/a.mp3", "http://127.0.0.1:9", "9b2f7a4e-0f0e-4d3e-8a53-6a54f5f3b6b1"),
        ]
    ),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.none()), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.builds(RaisesOnUse),
    st.builds(object),
    st.sampled_from([np.zeros((2, 10)), np.zeros(0), np.float32(3), np.array(["a"]), lambda: None, int, Path("none")]),
    st.builds(LocalMasks),
    st.builds(Options),
)
SEPARATOR = Separator.of_engine(LocalMasks(), threads=1)
CLIENT = Client("http://127.0.0.1:9", key="k", timeout_s=1)
"""Of a port where nothing listens."""

CALLS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "separate": (
        stemwright.separate,
        (
            *("stems", "out", "format", "bit_depth", "bitrate_kbps", "device", "threads", "licence", "start_s"),
            *("duration_s", "resume", "overwrite", "plan", "on_progress", "is_cancelled"),
        ),
    ),
    "Separator": (Separator, ("device", "threads", "licence")),
    "Separator.of_engine": (Separator.of_engine, ("threads",)),
    "Separator.separate": (SEPARATOR.separate, ("sample_rate", "stems")),
    "Separator.separate_file": (SEPARATOR.separate_file, ("options", "name", "on_progress", "is_cancelled")),
    "Separator.missing": (SEPARATOR.missing, ()),
    "Separator.prepare": (SEPARATOR.prepare, ("on_download", "is_cancelled")),
    "Options": (
        Options,
        ("out", "format", "bit_depth", "bitrate_kbps", "start_s", "duration_s", "resume", "overwrite"),
    ),
    "Client": (lambda url, **given: Client(url, **{"key": "k", **given}).close(), ("key", "timeout_s")),
    "Client.upload": (CLIENT.upload, ("title",)),
    "Client.track": (CLIENT.track, ()),
    "Client.separate": (
        CLIENT.separate,
        ("stems", "plan", "format", "bit_depth", "bitrate_kbps", "callback_url", "priority", "idempotency_key"),
    ),
    "Client.separations": (lambda state: list(CLIENT.separations(state)), ()),
    "Client.wait": (CLIENT.wait, ("on_progress", "timeout_s", "poll_s")),
    "Client.download": (lambda one, folder="x": CLIENT.download(one, folder), ("folder",)),
    "Client.download_zip": (lambda one, path="x": CLIENT.download_zip(one, path), ("path",)),
    "evaluate_plan": (evaluate_plan, ("plan", "layout", "device", "threads", "metrics", "on_song")),
    "evaluate_estimates": (lambda one, **given: evaluate_estimates(one, **{"estimates": "none", **given}),
                           ("estimates", "layout", "metrics", "on_song")),
    "select": (select, ()),
}  # fmt: skip

AN_ID = "9b2f7a4e-0f0e-4d3e-8a53-6a54f5f3b6b1"
FIRST: dict[str, Any] = {
    "Separator.separate": np.zeros((2, 3000)),
    "Separator.separate_file": "song.wav",
    "Separator.of_engine": LocalMasks(),
    "evaluate_plan": "none",
    "evaluate_estimates": "none",
    **{call: AN_ID for call in CALLS if call.startswith("Client.")},
}
"""First arguments that make sense, so that the others are come to."""


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses of the client between its tries."""
    from stemwright.client import retries

    monkeypatch.setattr(retries, "_backoff", lambda tries: 0.0)


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=40)
@given(data=st.data())
def test_no_public_call_ends_in_an_error_of_pythons_own(
    call: str, data: st.DataObject, at_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function, names = CALLS[call]
    soundfile.write("song.wav", np.zeros((3000, 2)), 44_100)
    first = data.draw(st.one_of(st.just(FIRST[call]), ANYTHING) if call in FIRST else ANYTHING, label="first")
    given_names = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3) if names else st.just([]))
    arguments_given = {name: data.draw(ANYTHING, label=name) for name in given_names}
    if call == "Separator.separate":
        arguments_given.setdefault("sample_rate", 44_100)
    try:
        function(first, **arguments_given)
    except StemwrightError as error:
        one_sentence(error)


def test_what_the_fuzzing_leaves_out_is_known() -> None:
    """A new public name needs a line above; records are made by Stemwright, not by callers."""
    records = {"Progress", "Result", "StemResult", "StemwrightError"}
    assert set(stemwright.__all__) == {name.split(".")[0] for name in CALLS if name[0].isupper()} | records | {
        "AsyncClient",  # its calls are those of Client, by the same functions
        "separate",
    }


def test_a_failed_separation_passes_between_processes(failed: Any) -> None:
    error = pickle.loads(pickle.dumps(SeparationFailedError(failed)))
    assert error.separation == failed


@pytest.fixture
def failed() -> Any:
    from stemwright.client.records import read_separation

    moments = dict.fromkeys(("created_at", "started_at", "ended_at", "expires_at"), "2026-01-01T00:00:00+00:00")
    nothing = dict.fromkeys(
        (
            *("title", "stage", "bit_depth", "bitrate_kbps", "callback_url", "seconds", "sample_rate", "channels"),
            *("residual_db", "gain_db", "zip"),
        )
    )
    return read_separation(
        {
            **{"id": "a", "state": "failed", "progress": 0.5, "cancelling": False, "track_id": "b", "mode": "two"},
            **{"plan": "fast", "format": "wav", "credits": 0.0, "models": [], "notes": [], "stems": []},
            **{"error": {"code": 501, "message": "It broke."}},
            **moments,
            **nothing,
        }
    )
