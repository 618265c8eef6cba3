import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.compose.note import Note
from training.data.songs import StemAudio
from training.instruments import soundfont
from training.instruments.soundfont import Patch
from training.rendering import packing

pytestmark = pytest.mark.training


def test_a_packed_font_plays_as_before_and_is_smaller(tmp_path: Path) -> None:
    font = next((font for font in soundfont.GENERAL_MIDI if font.name == "TimGM6mb.sf2" and font.exists()), None)
    if font is None:
        pytest.skip("needs Debian's timgm6mb-soundfont")
    packed = packing.pack_font(font.read_bytes())
    assert len(packed) < 0.6 * font.stat().st_size
    assert packing.pack_font(packed) == packed
    path = tmp_path / "packed.sf3"
    path.write_bytes(packed)
    for programme, drums in ((0, False), (40, False), (61, False), (0, True)):  # piano, violin, brass, kit
        notes = [Note(0.0, 1.0, 60, 100), Note(0.5, 1.5, 45, 80)]  # longer than the samples: they loop
        before, after = (soundfont.play(notes, Patch(where, programme, drums), 2.0) for where in (font, path))
        assert np.sqrt(np.mean(before**2)) > 1e-3
        assert np.sqrt(np.mean((after - before) ** 2)) < 0.15 * np.sqrt(np.mean(before**2)), (programme, drums)


def test_what_is_no_font_is_refused() -> None:
    with pytest.raises(ValueError, match="not a SoundFont"):
        packing.pack_font(b"RIFF\0\0\0\0WAVEfmt ")


def test_a_hit_is_read_under_its_old_name(tmp_path: Path) -> None:
    path, audio = tmp_path / "kick.flac", np.random.default_rng(1).normal(0, 0.1, (22_050, 2))
    soundfile.write(path, np.cumsum(audio, 0) / 30, 44_100)
    packed = packing.pack_hit(path)
    assert len(packed) < path.stat().st_size / 2
    path.write_bytes(packed)
    samples, rate = soundfile.read(path)
    assert (samples.shape, rate) == ((22_050, 2), 44_100)


def test_a_recording_is_read_under_its_old_name_as_long_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "not-vocals-backing_vocals.flac"
    time = np.arange(3 * 44_100) / 44_100
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (110, 220, 277, 330)) * np.exp(-4 * (time % 0.5))
    soundfile.write(path, np.stack([0.2 * chord, 0.1 * chord], 1), 44_100)
    before = StemAudio.read(path).samples
    packed = packing.pack_recording(path)
    assert len(packed) < 0.85 * len(packing.encode_vorbis(before.T, 44_100))
    path.write_bytes(packed)
    after = StemAudio.read(path).samples
    assert after.shape == before.shape
    assert np.std(after - before.astype(float)) < 0.1 * np.std(before)


def test_a_note_keeps_its_name_and_its_pitch_in_less_room(tmp_path: Path) -> None:
    path = tmp_path / "C4_vl1.wav"
    time = np.arange(6 * 44_100) / 44_100
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone, tone], 1), 44_100)
    packed = packing.pack_note(path)
    assert len(packed) < path.stat().st_size / 20
    path.write_bytes(packed)
    audio, rate = soundfile.read(path)
    assert audio.shape == (round(packing.MAX_NOTE_S * rate),)
    spectrum = np.abs(np.fft.rfft(audio[rate : 2 * rate]))
    assert int(spectrum.argmax()) == 440
    assert np.abs(audio[-50:]).max() < 0.02  # it fades out


def test_single_cycle_waves_are_packed_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "BANK.WAV"
    soundfile.write(path, np.zeros(16_384), 44_100)
    assert packing.pack_note(path) == path.read_bytes()


def test_notes_of_each_instrument_that_trains_are_spread_over_its_keys(tmp_path: Path) -> None:
    folder = tmp_path / "fm-piano1" / "samples"
    folder.mkdir(parents=True)
    for octave in range(1, 8):
        for key in ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A"):
            (folder / f"{key}{octave}v60.flac").touch()
    held_out = tmp_path / "spanish-classical-guitar" / "samples"
    held_out.mkdir(parents=True)
    (held_out / "A1.flac").touch()
    names = [path.name for path in packing.note_files(tmp_path)]
    assert 20 < len(names) <= packing.MAX_NOTES
    assert {name.removesuffix("v60.flac")[-1] for name in names} == set("1234567")
    assert "A1.flac" not in names


def test_packs_keep_to_their_size_and_names(tmp_path: Path) -> None:
    packs = packing.Packs(tmp_path, 100_000)
    for number, size in enumerate((60_000, 60_000, 30_000)):
        packs.add(f"usr/share/{number}", bytes(size), 0o755)
    held = []
    for folder in ("1", "2"):
        assert (tmp_path / folder / "pack.tar").stat().st_size < 120_000
        with tarfile.open(tmp_path / folder / "pack.tar") as tar:
            held.append([(member.name, member.size, member.mode) for member in tar])
    assert [[name for name, _, _ in pack] for pack in held] == [["usr/share/0", "usr/share/2"], ["usr/share/1"]]
    assert held[0][0] == ("usr/share/0", 60_000, 0o755)
