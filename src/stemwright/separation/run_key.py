"""The key of a run: its song, models and options. A run continues an interrupted one where the keys are equal."""

from __future__ import annotations

from stemwright.separation.options import Options
from stemwright.separation.song_folder import SongFolder
from stemwright.separation.source import FileSource
from stemwright.separation.working_files import RunKey, WorkingFiles
from stemwright.stems import Selection

WORKING_FORMAT = 3
"""Increased when the format of the working files changes, so that no run resumes from those of an older version."""


def run_key(source: FileSource, selection: Selection, options: Options, models: tuple[str, ...]) -> RunKey:
    """The key of a run, as JSON.

    Args:
        source: the song.
        selection: the parts.
        options: of which only those count that change the working files.
        models: names and digests.
    """
    return {
        "working_format": WORKING_FORMAT,
        "input": source.digest(),
        "start_s": options.start_s,
        "duration_s": options.duration_s,
        "stems": selection.mode,
        "models": list(models),
        # Only where it is known: so interrupted runs of earlier versions go on.
        **({} if selection.playing is None else {"playing": list(selection.playing)}),
    }


def begun_models(
    folder: SongFolder, source: FileSource, selection: Selection, options: Options
) -> tuple[str, ...] | None:
    """The models of the interrupted run that this one would continue with them; None if there is none."""
    begun = WorkingFiles.begun_key(folder.working) if options.resume else None
    if begun is None or not isinstance(begun.get("models"), list):
        return None
    models = tuple(map(str, begun["models"]))
    return models if begun == run_key(source, selection, options, models) else None


def begun_otherwise(begun: tuple[str, ...]) -> str:
    """A note for the user where the plan has other models than the interrupted run."""
    names = ", ".join(name.partition("@")[0] for name in begun)
    return f"The interrupted run had other models ({names}), so the song was separated from its start."
