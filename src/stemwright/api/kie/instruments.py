"""The instruments of kie's ``split_stem_advanced``, and which of the twelve stems they are.

A name is accepted if it means a whole stem: ``Drum Kit`` is the drums. ``Kick`` is only a part of that stem: a client that
requests it would get, or remove, the whole kit. Such names are refused, and the error says what to request instead.
"""

from __future__ import annotations

from stemwright.service.errors import InvalidRequest

STEM_BY_INSTRUMENT = {
    "Lead Vocal": "vocals",  # with backing vocals, as in every request for vocals alone
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
"""Accepted names, and the stem of each."""

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
"""Instruments that are only a part of a stem, by the name of the whole stem."""

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
"""Instruments that are in several stems, or not in the same stem in each song."""

INSTRUMENTS = (*STEM_BY_INSTRUMENT, *(name for names in GROUPS.values() for name in names), *UNSUPPORTED)
"""All names that kie accepts."""

_GROUP_OF = {name: whole for whole, names in GROUPS.items() for name in names}
_SPELLING = {name.lower(): name for name in INSTRUMENTS}


def stem_for_instrument(name: str, field: str = "stemName") -> str:
    """The stem for an instrument's name; case is ignored. ``field`` is the name of the field in the request.

    Raises:
        InvalidRequest: there is none; the message says what to request instead.
    """
    known = _SPELLING.get(name.strip().lower())
    if known in STEM_BY_INSTRUMENT:
        return STEM_BY_INSTRUMENT[known]
    if known in _GROUP_OF:
        whole = _GROUP_OF[known]
        raise InvalidRequest(
            field,
            f"{field} '{known}' cannot be separated on its own: send '{whole}' to get the whole group.",
        )
    offered = ", ".join(STEM_BY_INSTRUMENT)
    if known is not None:
        raise InvalidRequest(field, f"{field} '{known}' is not available on this server: send one of {offered}.")
    raise InvalidRequest(field, f"{field} is not the name of an instrument: send one of {offered}.")
