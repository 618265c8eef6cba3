"""The vendors' names of stems. No other module spells these names.

kie.ai has three names for a stem (a group, a key in camelCase, a key in snake_case); crun.ai uses the snake_case keys.
Links to files end in the group's name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WireName:
    """The names of one part of a song.

    Attributes:
        stem: its name in Stemwright.
        group: ``Backing Vocals``.
        camel: ``backingVocalsUrl``, or None for a part that no vendor has a key for.
        snake: ``backing_vocals_url``, or None in the same case.
    """

    stem: str
    group: str
    camel: str | None
    snake: str | None

    @property
    def label(self) -> str:
        """``Backing_Vocals``, as used in file names."""
        return self.group.replace(" ", "_")


# In the order of the keys in kie's replies.
WIRE_NAMES = {
    name.stem: name
    for name in (
        WireName("instrumental", "Instrumental", "instrumentalUrl", "instrumental_url"),
        WireName("vocals", "Vocals", "vocalUrl", "vocal_url"),
        WireName("backing_vocals", "Backing Vocals", "backingVocalsUrl", "backing_vocals_url"),
        WireName("drums", "Drums", "drumsUrl", "drums_url"),
        WireName("bass", "Bass", "bassUrl", "bass_url"),
        WireName("guitar", "Guitar", "guitarUrl", "guitar_url"),
        WireName("keyboard", "Keyboard", "keyboardUrl", "keyboard_url"),
        WireName("percussion", "Percussion", "percussionUrl", "percussion_url"),
        WireName("strings", "Strings", "stringsUrl", "strings_url"),
        WireName("synth", "Synth", "synthUrl", "synth_url"),
        WireName("fx", "FX", "fxUrl", "fx_url"),
        WireName("brass", "Brass", "brassUrl", "brass_url"),
        WireName("woodwinds", "Woodwinds", "woodwindsUrl", "woodwinds_url"),
        WireName("residual", "Residual", None, None),
    )
}
"""Every part that a separation can make, by its name in Stemwright."""


SONG = "song"
"""The name of a whole song, for tasks whose result is one file."""

_SONG = WireName(SONG, "Song", None, None)


def wire_name(stem: str) -> WireName:
    """The names of a part, or of the whole song; raises KeyError for an unknown one."""
    return _SONG if stem == SONG else WIRE_NAMES[stem]
