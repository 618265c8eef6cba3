"""The result of a separation: paths, and measurements of each stem."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stemwright.separation.offer import Offer


@dataclass(frozen=True)
class StemResult:
    """One written stem.

    Attributes:
        name: one of the twelve stems, ``instrumental`` or ``residual``.
        path: the file.
        present: whether the stem plays; an absent one is a valid, silent file.
        presence: score from 0 (certainly absent) to 1 (certainly present); the threshold is 0.5.
        peak_dbfs: highest sample in dB of full scale; None for digital silence.
        rms_dbfs: root mean square over all samples and channels in dB of full scale; None for digital silence.
    """

    name: str
    path: Path
    present: bool
    presence: float
    peak_dbfs: float | None
    rms_dbfs: float | None


@dataclass(frozen=True)
class Result:
    """A separated song.

    Attributes:
        input: path of the song as it was given.
        output_dir: folder of the stems.
        plan: the plan that was used; for ``auto`` the one that it chose.
        models: the models that were used, with the digest of their weights.
        sample_rate: Hz, the input's own.
        channels: 1 or 2.
        samples: length in samples, the input's own.
        seconds: length in seconds.
        residual_db: peak of (sum of the written stems - input) in dB of the input's peak. -200 stands for exactly
            zero: the stems add up to the input bit for bit. None for lossy formats.
        gain_db: the one gain given to all stems against clipping; 0 where none was needed.
        stems: the stems, in order.
        elapsed_s: processing time in seconds.
        realtime_factor: seconds of song per second of processing.
        peak_rss_mb: peak memory of this process so far, in MB (10^6 bytes).
        skipped: the complete output of an identical run existed already and was kept.
        notes: remarks for the user: a file that ended early, downmixed channels, changes by a lossy format.
        better: a better plan that is one step away; None with a plan that was named, and where there is none.
    """

    input: str
    output_dir: Path
    plan: str
    models: tuple[str, ...]
    sample_rate: int
    channels: int
    samples: int
    seconds: float
    residual_db: float | None
    gain_db: float
    stems: tuple[StemResult, ...]
    elapsed_s: float
    realtime_factor: float
    peak_rss_mb: float
    skipped: bool = False
    notes: tuple[str, ...] = ()
    better: Offer | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same facts as plain types, ready for JSON."""
        facts = asdict(self)
        facts["output_dir"] = str(self.output_dir)
        facts["stems"] = [{**asdict(stem), "path": str(stem.path)} for stem in self.stems]
        return facts

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Result:
        """The reverse of ``to_dict``."""
        stems = tuple(StemResult(**{**stem, "path": Path(stem["path"])}) for stem in facts["stems"])
        better = facts.get("better")
        return cls(
            **{
                **facts,
                "better": None if better is None else Offer.from_dict(better),
                "output_dir": Path(facts["output_dir"]),
                "models": tuple(facts["models"]),
                "notes": tuple(facts["notes"]),
                "stems": stems,
            }
        )
