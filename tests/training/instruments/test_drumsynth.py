from pathlib import Path

import numpy as np
import pytest

from training.instruments import drumsynth, kits

pytestmark = pytest.mark.training

KICK = """[General]
Version=DrumSynth v1.0
Stretch=100.0
[Tone]
On=1
Level=128
F1=200
F2=50
Droop={droop}
Phase=0
Envelope=0,100 11025,100 22050,0
"""
HAT = """[Noise]
On=1
Level=128
Slope=90
Envelope=0,100 4410,0
"""


def preset(folder: Path, text: str, name: str = "drum.ds") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def frequency_hz(sound: np.ndarray) -> float:
    """By the crossings of zero."""
    rising = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    return float(44_100 / np.diff(rising).mean())


@pytest.mark.parametrize(("droop", "middle_hz"), [(0, (120, 130)), (60, (48, 60))])
def test_a_tone_falls_from_one_pitch_to_the_other(tmp_path: Path, droop: int, middle_hz: tuple[float, float]) -> None:
    sound = drumsynth.render(preset(tmp_path, KICK.format(droop=droop)))
    assert sound.shape == (2, 22_050) and np.array_equal(sound[0], sound[1])
    assert np.abs(sound).max() == pytest.approx(1)
    assert middle_hz[0] < frequency_hz(sound[0, 10_025:12_025]) < middle_hz[1]
    assert frequency_hz(sound[0, 19_000:22_000]) < 70


def test_an_envelope_ends_a_drum_and_stretch_makes_it_longer(tmp_path: Path) -> None:
    short = drumsynth.render(preset(tmp_path, KICK.format(droop=0)))
    long = drumsynth.render(preset(tmp_path, KICK.format(droop=0).replace("=100.0", "=200.0"), "long.ds"))
    assert long.shape[1] == 2 * short.shape[1]
    assert np.abs(short[0, -2205:]).max() < 0.25 < np.abs(short[0, :11_025]).max()


def test_a_slope_makes_noise_bright_or_dark(tmp_path: Path) -> None:
    bright = drumsynth.render(preset(tmp_path, HAT))
    dark = drumsynth.render(preset(tmp_path, HAT.replace("=90", "=-90"), "dark.ds"))

    def centre_hz(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound[0])) ** 2
        return float((power * np.fft.rfftfreq(sound.shape[1], 1 / 44_100)).sum() / power.sum())

    assert centre_hz(bright) > 12_000 and centre_hz(dark) < 5_000
    again = drumsynth.render.__wrapped__(tmp_path / "drum.ds")
    assert np.array_equal(again, bright)  # noise and all


@pytest.mark.parametrize("method", range(4))
def test_overtones_bands_filter_and_distortion_sound(tmp_path: Path, method: int) -> None:
    text = f"""[General]
Filter=1
FilterEnv=0,80 20000,20
[Overtones]
On=1
Level=128
F1=300
Wave1={method + 1}
F2=470
Method={method}
Param=40
Envelope1=0,100 20000,0
Envelope2=0,100 20000,0
[NoiseBand]
On=1
Level=90
F=1000
dF=30
Envelope=0,100 9000,0
[Distortion]
On=1
Clipping=12
Bits=3
Rate=2
"""
    sound = drumsynth.render(preset(tmp_path, text))
    assert np.isfinite(sound).all() and sound.shape == (2, 20_000)
    assert 0.01 < np.sqrt(np.mean(sound**2)) < 0.9


def test_what_describes_no_sound_is_told_and_joins_no_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = preset(tmp_path / "tr1", KICK.replace("On=1", "On=0").format(droop=0), "Silent_Kick.ds")
    with pytest.raises(ValueError, match=r"Silent_Kick\.ds describes no sound"):
        drumsynth.render(silent)
    kick = preset(tmp_path / "tr1", KICK.format(droop=0), "Kick_1.ds")
    hat = preset(tmp_path / "tr1", HAT, "Hat_c.ds")
    monkeypatch.setattr(drumsynth, "PRESETS", tmp_path)
    kits.recorded.cache_clear()
    try:
        assert kits.recorded()["drumsynth tr1"] == {"kick": ((kick,),), "hat": ((hat,),)}
        assert np.array_equal(kits.load(kick), drumsynth.render(kick))
    finally:
        kits.recorded.cache_clear()


@pytest.mark.skipif(not drumsynth.PRESETS.is_dir(), reason="Debian's lmms-common is not installed")
def test_the_presets_of_debian_sound() -> None:
    paths = sorted(drumsynth.PRESETS.glob("*/*.ds"))[::25]
    assert len(paths) > 20
    for path in paths:
        if drumsynth.sounds(path):
            assert np.isfinite(drumsynth.render(path)).all(), path
