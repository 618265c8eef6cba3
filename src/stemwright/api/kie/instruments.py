"""The instruments that kie's ``split_stem_advanced`` names, and which of them one of the twelve stems answers.

A stem answers a name when the stem is what the name says: ``Drum Kit`` is the drums. ``Kick`` is not, though a kick is
somewhere in them: whoever asked for it would get, or lose, the whole kit. Such names are refused, and the refusal says
what to ask for instead.
"""

from __future__ import annotations

from stemwright.service.errors import InvalidRequest

STEM_BY_INSTRUMENT = {
    "Lead Vocal": "vocals",  # with its backing, as everywhere where vocals are asked for alone
    "Backing Vocals": "backing_vocals",
    "Drum Kit": "drums",
    "Electronic Drum Kit": "drums",
    "Bass": "bass",
    "Bass Guitar": "bass",
    "Electric Bass": "bass",
    "Upright Bass": "bass",
    "Guitar": "guitar",
    "Keyboards": "keyboard",
    "String Section": "strings",
    "Brass Section": "brass",
    "Woodwinds": "woodwinds",
    "Percussion": "percussion",
    "Synth": "synth",
    "Sound Effects": "fx",
}
"""The stem that is what the name says."""

GROUPS = {
    "Backing Vocals": ("Choir",),
    "Drum Kit": ("Kick", "Snare", "Cymbals", "Hi-Hat"),
    "Guitar": (
        "Electric Guitar",
        "Acoustic Guitar",
        "Lead Electric Guitar",
        "Rhythm Electric Guitar",
        "Distorted Electric Guitar",
        "Rhythm Acoustic Guitar",
        "Lead Guitar",
        "Pedal Steel Guitar",
        "Lap Steel Guitar",
    ),
    "Keyboards": (
        "Piano",
        "Organ",
        "Electric Piano",
        "Digital Piano",
        "Rhodes",
        "Harpsichord",
        "Accordion",
    ),
    "String Section": ("Harp", "Fiddle", "Violin", "Viola", "Cello", "Koto", "Sitar"),
    "Brass Section": ("Trumpet", "Trombone", "French Horn", "Tuba"),
    "Woodwinds": (
        "Flute",
        "Piccolo",
        "Clarinet",
        "Oboe",
        "Bassoon",
        "Saxophone",
        "Alto Saxophone",
        "Tenor Saxophone",
        "Baritone Saxophone",
        "Bagpipes",
        "Didgeridoo",
    ),
    "Percussion": (
        "Tambourine",
        "Shaker",
        "Hand Clap",
        "Congas",
        "Bongos",
        "Cowbell",
        "Tabla",
        "Djembe",
        "Taiko",
        "Timpani",
        "Bells",
        "Glockenspiel",
        "Celesta",
        "Music Box",
        "Marimba",
        "Vibraphone",
        "Xylophone",
        "Steel Drums",
    ),
    "Synth": ("Synth Pad", "Synth Keys", "Synth Lead", "Synth Voice", "Arpeggiator"),
    "Sound Effects": ("Risers",),
}
"""What is one of many in a stem, by the name that asks for them all."""

UNSUPPORTED = (
    "Synth Bass",
    "Double Bass",
    "Horns",
    "Synth Strings",
    "Synth Brass",
    "808",
    "Orchestra",
    "Drone",
    "Mandolin",
    "Banjo",
    "Ukulele",
    "Harmonica",
    "Melodica",
    "Whistle",
    "Theremin",
)
"""What lies in several stems, or in another from song to song."""

INSTRUMENTS = (*STEM_BY_INSTRUMENT, *(name for names in GROUPS.values() for name in names), *UNSUPPORTED)
"""All names that kie takes."""

_GROUP_OF = {name: whole for whole, names in GROUPS.items() for name in names}
_SPELLING = {name.lower(): name for name in INSTRUMENTS}


def stem_for_instrument(name: str, field: str = "stemName") -> str:
    """The stem that answers an instrument's name; capitals do not matter. ``field`` is what the client calls it.

    Raises:
        InvalidRequest: none does; says what to ask for instead.
    """
    known = _SPELLING.get(name.strip().lower())
    if known in STEM_BY_INSTRUMENT:
        return STEM_BY_INSTRUMENT[known]
    if known in _GROUP_OF:
        whole = _GROUP_OF[known]
        raise InvalidRequest(
            field,
            f"{field} '{known}' cannot be told from its like here: send '{whole}' for all of them together.",
        )
    offered = ", ".join(STEM_BY_INSTRUMENT)
    if known is not None:
        raise InvalidRequest(field, f"{field} '{known}' is no stem of this server: send one of {offered}.")
    raise InvalidRequest(field, f"{field} is not a name of an instrument: send one of {offered}.")
