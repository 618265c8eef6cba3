"""The list of recorded instruments: what their files' names say, and that none both trains and measures."""

import re
from pathlib import Path

import pytest

from training.instruments import ensemble, kits, library
from training.instruments.library import Instrument

ALL = library.instruments(held_out=False) + library.instruments(held_out=True)


@pytest.mark.parametrize(
    ("name", "pitch"),
    [
        ("C4", 60),
        ("A0", 21),
        ("C#4", 61),
        ("As4", 70),
        ("AS4", 70),
        ("ais4", 70),
        ("gb3", 54),
        ("h3", 59),
        ("cis-1", 1),
    ],
)
def test_a_note_is_read_in_every_spelling(name: str, pitch: int) -> None:
    assert library.midi_of(name) == pitch


def test_what_is_not_a_note_is_refused() -> None:
    with pytest.raises(ValueError, match="'perc6' is not the name of a note"):
        library.midi_of("perc6")


@pytest.mark.parametrize("held_out", [False, True])
def test_an_instrument_is_the_same_object_however_it_is_asked_for(held_out: bool) -> None:
    """Else ``rendering.solos`` does not find an instrument among the candidates for a part."""
    pairs = zip(library.instruments(held_out), library.instruments(held_out=held_out), strict=True)
    assert all(first is second for first, second in pairs)


def test_an_instrument_trains_or_measures_and_has_one_name() -> None:
    names = [instrument.name for instrument in ALL]
    assert len(set(names)) == len(names) > 80
    files = [(one.repository, one.files) for one in ALL if one.repository]
    assert len(set(files)) == len(files)


def test_every_instrument_has_a_part_to_play() -> None:
    families = {name for roles in ensemble.FAMILIES.values() for family in roles.values() for name in family}
    assert {instrument.family for instrument in ALL} <= families | {"kit", "hand-percussion", "wavetable"}


def test_what_comes_from_github_has_a_commit_and_a_digest() -> None:
    for instrument in ALL:
        assert bool(instrument.repository) == bool(re.fullmatch("[0-9a-f]{64}", instrument.digest)), instrument.name
        assert bool(instrument.repository) == bool(re.fullmatch("[0-9a-f]{40}", instrument.commit)), instrument.name


def test_sources_names_every_repository_and_package() -> None:
    page = (Path(library.__file__).parents[1] / "SOURCES.md").read_text()
    for instrument in ALL:
        assert instrument.repository in page, f"{instrument.name}: name {instrument.repository} in training/SOURCES.md"


@pytest.mark.parametrize(
    ("name", "path", "pitch", "dynamic", "short"),
    [
        ("fsbs-electric-guitar", "samples/E2_s1_soft_03.flac", 40, "soft", False),
        ("yr-bass", "samples/pick/C#.flac", 37, "pick", False),
        ("growlybass", "staccato/db2_staccato_rr3.wav", 25, "", True),
        ("war-tuba", "Samples/ab0_ss_vl1_rr3_cnd.wav", 32, "1", True),
        ("war-tuba", "Samples/ab0_sus_cnd.wav", 32, "", False),
        ("cp80", "CP80/Samples/042-F#2-F.flac", 42, "F", False),
        ("mtg-alto-sax", "MTG Solo Saxophones/Samples/alt_f_09.flac", 57, "f", False),
        ("ixox-flute", "Samples/nor_m_2_3.flac", 75, "m", False),
        ("iowa-clarinet", "clarinet/Cl_ff-60-C4.flac", 61.5, "", False),
        ("iowa-trumpet", "trumpet/trumpet-ff-gis5.flac", 80, "", False),
        (
            "philharmonia-french-horn",
            "audio/french horn/french-horn_As2_15_mezzo-piano_normal.mp3",
            46,
            "mezzo-piano",
            False,
        ),
    ],
)
def test_what_a_files_name_says(name: str, path: str, pitch: float, dynamic: str, short: bool) -> None:
    instrument = next(one for one in ALL if one.name == name)
    match = re.search(instrument.files, path)
    assert match
    said = match.groupdict()
    assert library.pitch_of(match, instrument) == pitch
    assert (said.get("dynamic") or "", bool(said.get("short"))) == (dynamic, short)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("iowa-violin", "violin/e-note-93.flac"),  # sounds six semitones higher than it says
        ("world-percussion", "samples/Darbuka/tak_1_1.flac"),
        ("darbuka-castanets", "samples/Bongos/1_1.flac"),
        ("meatbass-pizzicato", "Samples/pizz/perc6_rr5.wav"),
    ],
)
def test_files_that_do_not_belong_are_left_out(name: str, path: str) -> None:
    instrument = next(one for one in ALL if one.name == name)
    assert not re.search(instrument.files, path)


def test_dynamics_go_from_soft_to_loud(tmp_path: Path) -> None:
    for name in ("C4_pp.wav", "C4_mf.wav", "C4_ff.wav", "D4_mf.wav", "notes.txt"):
        (tmp_path / name).touch()
    piano = Instrument("p", tmp_path.name, "piano", r"^(?P<note>[A-G]\d)_(?P<dynamic>pp|mf|ff)\.wav$")
    found = {one.path.name: one.dynamic for one in library.recordings(piano, tmp_path.parent)}
    assert found == {"C4_pp.wav": 0, "C4_mf.wav": 0.5, "C4_ff.wav": 1, "D4_mf.wav": 0.5}
    numbered = Instrument("n", tmp_path.name, "piano", r"^(?P<note>[A-G]\d)_(pp|mf|ff)\.wav$")
    assert {one.dynamic for one in library.recordings(numbered, tmp_path.parent)} == {0.5}


def test_pieces_of_kits_are_drums_that_kits_have() -> None:
    named = {kind for instrument in ALL for kind in instrument.pieces.values()}
    assert named <= set(kits.KEYS.values())
