"""Packs what a round needs on a machine without package installation: programs, voices and compressed sounds.

    scripts/pack-round
    scripts/pack-round --recordings training/permissive --instruments training/samples

SoundFonts are compressed with Ogg Vorbis inside (sf3), drum hits and recordings as Ogg Vorbis under their old names,
since readers detect the format. Each pack is a tar of limited size, to be unpacked at the root of the file system.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.instruments import kits, library, soundfont, tonewheel, zynaddsubfx

PACK_ROOT = Path("opt/stemwright-round")
"""Folder of libraries and Python packages, below the root."""

PROGRAMS = ("espeak-ng", "flite", "festival", "text2wave")
LIBRARY = "libfluidsynth.so.3"
PLUG_INS = (zynaddsubfx.PLUG_IN, zynaddsubfx.BANKS, tonewheel.BUNDLE, *Path("/usr/lib").glob("*/faketime"))
"""Plug-ins that `instruments/lv2.py` plays, and the fake clock that one of them needs."""

SYSTEM_LIBRARIES = re.compile(r"/(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|atomic|mvec))[.-]")
"""Libraries of the C and C++ compilers, which every machine has."""

ARCHIVES = {"programs": ("opt", "usr/bin", "usr/lib"), "festival": ("usr/share", "etc")}
"""Packed programs and voices, and what is in them."""

SPEECH = ("/usr/lib/*/espeak-ng-data", "/usr/share/festival", "/etc/festival.scm", "/etc/festival")
MAX_VOICE_BYTES = 8_100_000
"""Larger voices and dictionaries of Festival are left out."""

DICTIONARIES = {"catalan": "upc", "italian": "ifd"}
"""Dictionaries that the voices of a language need."""

COMPRESSION = 0.5
"""Compression level of Ogg Vorbis, 0 to 1: about 110 kbit/s in stereo, transparent for one instrument in a mix."""

RECORDINGS_COMPRESSION = 0.9
"""The same for whole recordings: 72 kbit/s. Training mixes get lossy-codec losses as large anyway."""

MAX_NOTES, MAX_NOTE_S = 48, 4.0
"""Most recordings packed per instrument, and their longest duration, in mono."""

BLOCK = 44_100

OGG = 0x10  # a sample's type says that it is Ogg Vorbis
ROM = 0x8000
SAMPLE_HEADER = struct.Struct("<20s5IBbHH")
WHEELS = ("soundfile", "soxr", "cffi", "pycparser", "platformdirs", "setuptools<80")


def encode_vorbis(audio: NDArray[np.int16], rate: int, compression: float = COMPRESSION) -> bytes:
    """``(samples,)`` or ``(samples, channels)`` as an Ogg Vorbis file."""
    packed = io.BytesIO()
    with soundfile.SoundFile(
        packed, "w", rate, audio[0].size, format="OGG", subtype="VORBIS", compression_level=compression
    ) as file:
        for start in range(0, len(audio), BLOCK):  # libsndfile runs out of stack where much is written at once
            file.write(audio[start : start + BLOCK])
    return packed.getvalue()


def pack_font(font: bytes) -> bytes:
    """A SoundFont 2 with its samples as Ogg Vorbis; an sf3 stays as it is.

    Raises:
        ValueError: it is not a SoundFont.
    """
    if font[:4] != b"RIFF" or font[8:12] != b"sfbk":
        raise ValueError("This is not a SoundFont: it does not begin with RIFF and sfbk.")
    lists = dict(_chunks(font[12:]))
    info, sounds, settings = (dict(_chunks(lists[kind][4:])) for kind in (b"LIST0", b"LIST1", b"LIST2"))
    if struct.unpack("<H", info[b"ifil"][:2])[0] >= 3:
        return font
    samples = np.frombuffer(sounds[b"smpl"], "<i2")
    packed, headers, known = bytearray(), bytearray(), dict[tuple[int, int, int], tuple[int, int]]()
    for name, start, end, loop, loop_end, rate, pitch, cents, link, kind in SAMPLE_HEADER.iter_unpack(
        settings[b"shdr"]
    ):
        if end > start and not kind & ROM:
            if (start, end, rate) not in known:
                file = encode_vorbis(samples[start:end], rate)
                known[start, end, rate] = len(packed), len(packed) + len(file)
                packed += file
            loop, loop_end, kind = max(0, loop - start), max(0, loop_end - start), kind | OGG
            start, end = known[start, end, rate]
        headers += SAMPLE_HEADER.pack(name, start, end, loop, loop_end, rate, pitch, cents, link, kind)
    info[b"ifil"] = struct.pack("<HH", 3, 0)
    settings[b"shdr"] = bytes(headers)
    parts = [(b"INFO", info), (b"sdta", {b"smpl": bytes(packed)}), (b"pdta", settings)]
    body = b"".join(
        _chunk(b"LIST", kind + b"".join(_chunk(*pair) for pair in chunks.items())) for kind, chunks in parts
    )
    return _chunk(b"RIFF", b"sfbk" + body)


def _chunks(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Chunks of a RIFF file; lists are numbered."""
    at, lists = 0, 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        if kind == b"LIST":
            kind, lists = kind + str(lists).encode(), lists + 1
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def pack_hit(path: Path) -> bytes:
    """A recorded hit as Ogg Vorbis, or unchanged if that is not smaller or not possible."""
    whole = path.read_bytes()
    if path.suffix not in (".flac", ".wav", ".aiff"):
        return whole
    audio, rate = soundfile.read(path, dtype="int16")
    return min(encode_vorbis(audio, rate), whole, key=len) if len(audio) else whole


def pack_recording(path: Path) -> bytes:
    """A piece of a corpus as Ogg Vorbis."""
    audio, rate = soundfile.read(path, dtype="int16")
    return encode_vorbis(audio, rate, RECORDINGS_COMPRESSION)


def pack_note(path: Path) -> bytes:
    """A recorded note as mono Ogg Vorbis. Single-cycle waves stay as they are, since a codec would change them."""
    if path.suffix == ".WAV":
        return path.read_bytes()
    audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
    audio = audio[: round(MAX_NOTE_S * rate)]
    fade = min(len(audio), rate // 20)
    mono = audio.mean(axis=1)
    mono[len(mono) - fade :] *= np.linspace(1, 0, fade)
    return encode_vorbis(mono.astype(np.int16), rate)


def note_files(samples: Path) -> list[Path]:
    """Recordings of each instrument that trains, spread evenly over its keys, dynamics and round robins."""
    files: list[Path] = []
    for instrument in library.instruments(held_out=False):
        held = sorted(
            library.recordings(instrument, samples), key=lambda one: (one.pitch or 0.0, one.dynamic, one.path)
        )
        every = max(1, -(-len(held) // MAX_NOTES))
        files += [recording.path for recording in held[::every]]
    return files


def _packed(path: Path) -> bytes:
    return pack_font(path.read_bytes()) if path.suffix == ".sf2" else pack_hit(path)


def sound_files() -> list[Path]:
    """SoundFonts, drum kits and hits that are installed here."""
    fonts = [font for font in soundfont.GENERAL_MIDI + soundfont.ELECTRONIC + soundfont.DRUM_KITS if font.exists()]
    hits = [path for root in (kits.DRUMKITS, kits.SAMPLES) for path in sorted(root.rglob("*")) if path.is_file()]
    return fonts + hits


def collect_files(tree: Path, python: str) -> None:
    """Copies programs, libraries, voices and Python packages for ``python`` ("3.12") into a folder."""
    binaries = [Path(found) for name in PROGRAMS if (found := shutil.which(name))]
    libraries = list(Path("/usr/lib").glob(f"*/{LIBRARY}"))
    for path in (*binaries, *(path for path in PLUG_INS if path.is_dir())):
        _copy(path, tree)
    for window in [*(tree / "usr/lib/lv2").rglob("*UI*.so"), *(tree / "usr/lib/lv2").rglob("*_ui.so")]:
        window.unlink()  # user interfaces are not needed
    linking = (*libraries, *binaries, *(tree / "usr/lib/lv2").rglob("*.so"))
    linked = [subprocess.run(["ldd", path], capture_output=True, text=True).stdout for path in linking]
    needed = {Path(path) for path in re.findall(r"=> (/\S+)", "".join(linked))}
    (tree / PACK_ROOT / "lib").mkdir(parents=True)
    for path in [*libraries, *(path for path in needed if not SYSTEM_LIBRARIES.search(str(path)))]:
        shutil.copy(path, tree / PACK_ROOT / "lib" / path.name)
    for pattern in SPEECH:
        for path in Path("/").glob(pattern[1:]):
            _copy(path, tree)
    festival = tree / "usr/share/festival"
    for part in (*festival.glob("dicts/*"), *festival.glob("voices/*/*")):
        dumb = (words := DICTIONARIES.get(part.parent.name)) and not (festival / "dicts" / words).exists()
        if dumb or sum(file.stat().st_size for file in part.rglob("*") if file.is_file()) > MAX_VOICE_BYTES:
            shutil.rmtree(part, ignore_errors=True)
    download = ["pip", "download", "--quiet", "--no-deps", "--dest", str(tree / PACK_ROOT / "python")]
    platforms = [f"--platform=manylinux_2_{glibc}_x86_64" for glibc in (28, 27, 17)] + [
        "--platform=manylinux2014_x86_64"
    ]
    wheels = ["--only-binary=:all:", f"--python-version={python}", "--implementation=cp", *platforms, *WHEELS]
    for what in (wheels, ["--no-binary=:all:", "--no-build-isolation", "pyworld"]):
        subprocess.run([sys.executable, "-m", *download, *what], check=True)


def _copy(path: Path, tree: Path) -> None:
    target = tree / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Links are followed, since Debian keeps voices elsewhere than Festival looks; dangling ones are dropped.
    if path.is_dir():
        shutil.copytree(path, target, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(path, target)


class Packs:
    """Tars of at most ``most_bytes`` each, in folders 1, 2, 3, ..."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self.sizes: list[int] = []

    def add(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Adds a file to the first pack with room for it."""
        size = len(content) + 2048
        fitting = [number for number, held in enumerate(self.sizes) if held + size <= self.most_bytes]
        if not fitting:
            self.sizes.append(0)
            (self.folder / str(len(self.sizes))).mkdir(parents=True)
        number = fitting[0] if fitting else len(self.sizes) - 1
        self.sizes[number] += size
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        with tarfile.open(self.folder / str(number + 1) / "pack.tar", "a") as tar:
            tar.addfile(entry, io.BytesIO(content))


def main() -> None:
    """Reads the command line and packs."""
    parser = argparse.ArgumentParser(description="Packs what rendering needs for a machine that can install nothing.")
    parser.add_argument("--out", type=Path, default=Path(".round"))
    parser.add_argument("--megabytes", type=int, default=28, help="of a pack")
    parser.add_argument("--python", default="3.12", help="version of Python there")
    parser.add_argument(
        "--recordings", type=Path, help=f"a folder that scripts/recordings made: comes to /{PACK_ROOT / 'recordings'}"
    )
    parser.add_argument(
        "--instruments", type=Path, help=f"a folder that scripts/samples made: comes to /{PACK_ROOT / 'samples'}"
    )
    options = parser.parse_args()
    if options.instruments and not options.instruments.is_dir():
        parser.error(f"--instruments names {options.instruments}, which is no folder: scripts/samples makes one.")
    if options.recordings and not options.recordings.is_dir():
        parser.error(f"--recordings names {options.recordings}, which is no folder: scripts/recordings makes one.")
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    (options.out / ".gitignore").write_text("*\n")
    packs = Packs(options.out, options.megabytes * 10**6)
    with tempfile.TemporaryDirectory() as there:
        collect_files(Path(there), options.python)
        for name, folders in ARCHIVES.items():
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w:xz") as tar:
                for folder in folders:
                    tar.add(Path(there) / folder, arcname=folder)
            packs.add(str(PACK_ROOT / f"{name}.tar.xz"), archive.getvalue())
    paths = sound_files()
    with ProcessPoolExecutor() as pool:
        for path, content in zip(paths, pool.map(_packed, paths, chunksize=4), strict=True):
            if len(content) > packs.most_bytes:
                print(f"left out: {path}, which has {len(content) / 1e6:.1f} MB even when packed", flush=True)
                continue
            packs.add(str(path.relative_to("/")), content)
            if len(content) > 10**6:
                print(f"{path}: {path.stat().st_size / 1e6:.1f} MB -> {len(content) / 1e6:.1f} MB", flush=True)
        notes = note_files(options.instruments.resolve()) if options.instruments else []
        for path, content in zip(notes, pool.map(pack_note, notes, chunksize=16), strict=True):
            packs.add(str(PACK_ROOT / "samples" / path.relative_to(options.instruments.resolve())), content)
        recordings = sorted(options.recordings.glob("[!.]*/*.flac")) if options.recordings else []
        for path, content in zip(recordings, pool.map(pack_recording, recordings, chunksize=4), strict=True):
            packs.add(str(PACK_ROOT / "recordings" / path.relative_to(options.recordings)), content)
    for number, size in enumerate(packs.sizes, 1):
        print(f"{options.out / str(number)}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
