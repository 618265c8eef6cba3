"""Which instruments of kie's list are answered, and what the others are told."""

from __future__ import annotations

import pytest

from stemwright.api.kie.instruments import GROUPS, INSTRUMENTS, STEM_BY_INSTRUMENT, UNSUPPORTED, stem_for_instrument
from stemwright.service.errors import InvalidRequest
from stemwright.stems import STEMS, select
from stemwright.wire_names import WIRE_NAMES

# As the vendor lists them (docs/contracts.md, section 2.2), in its order.
VENDORS = """Lead Vocal, Drum Kit, Kick, Snare, Risers, Bass, Backing Vocals, Piano, Electric Guitar, Percussion,
String Section, Synth, Acoustic Guitar, Sound Effects, Synth Pad, Synth Bass, Guitar, Brass Section, Organ,
Electronic Drum Kit, Lead Electric Guitar, Synth Keys, Rhythm Electric Guitar, Electric Piano, Upright Bass, Keyboards,
Distorted Electric Guitar, Synth Strings, Synth Lead, Woodwinds, Rhythm Acoustic Guitar, Flute, Harp, Tambourine, Trumpet,
Arpeggiator, Accordion, Fiddle, Pedal Steel Guitar, Synth Voice, Violin, Digital Piano, Synth Brass, Mandolin, Choir, Banjo,
Bells, Clarinet, Tenor Saxophone, Trombone, Shaker, French Horn, Glockenspiel, Electric Bass, Cello, Timpani, Harmonica,
Marimba, Vibraphone, Lap Steel Guitar, Saxophone, Orchestra, Horns, Cymbals, Hand Clap, Oboe, Celesta, Congas, Drone,
Alto Saxophone, Double Bass, Ukulele, Harpsichord, Baritone Saxophone, Xylophone, Tuba, Bass Guitar, Whistle, Lead Guitar,
Rhodes, 808, Bongos, Bassoon, Cowbell, Viola, Sitar, Steel Drums, Piccolo, Theremin, Bagpipes, Hi-Hat, Music Box, Melodica,
Tabla, Koto, Djembe, Taiko, Didgeridoo"""


def test_every_name_of_the_vendors_is_known_once() -> None:
    names = [name.strip() for name in VENDORS.replace("\n", " ").split(",")]
    assert len(names) == 98
    assert sorted(INSTRUMENTS) == sorted(names)


def test_every_stem_answers_a_name_and_splits_in_two() -> None:
    assert set(STEM_BY_INSTRUMENT.values()) == set(STEMS)
    for name, stem in STEM_BY_INSTRUMENT.items():
        assert stem_for_instrument(name) == stem
        assert select(stem).names == (stem, "residual")


def test_capitals_and_spaces_around_do_not_matter() -> None:
    assert stem_for_instrument(" drum KIT ") == "drums"


@pytest.mark.parametrize(("part", "whole"), [(part, whole) for whole, parts in GROUPS.items() for part in parts])
def test_a_part_is_refused_with_the_whole_to_ask_for(part: str, whole: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        stem_for_instrument(part)
    assert refusal.value.field == "stemName"
    assert (
        str(refusal.value)
        == f"stemName '{part}' cannot be separated on its own: send '{whole}' to get the whole group."
    )
    assert stem_for_instrument(whole) in STEMS


@pytest.mark.parametrize("name", [*UNSUPPORTED, "Kazoo", "drums\x1b[2J"])
def test_other_names_are_refused_with_all_that_are_offered(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        stem_for_instrument(name)
    assert all(offered in str(refusal.value) for offered in STEM_BY_INSTRUMENT)
    assert "\x1b" not in str(refusal.value)


def test_names_on_the_wire() -> None:
    assert set(WIRE_NAMES) == {*STEMS, "instrumental", "residual"}
    assert WIRE_NAMES["backing_vocals"].label == "Backing_Vocals"
    assert [name.group for name in WIRE_NAMES.values()] == [
        "Instrumental", "Vocals", "Backing Vocals", "Drums", "Bass", "Guitar", "Keyboard", "Percussion", "Strings", "Synth",
        "FX", "Brass", "Woodwinds", "Residual",
    ]  # fmt: skip
