"""Native Instruments' ``.stem.mp4`` of a separation: which stems make its four groups, and the file, made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from stemwright.service.derived_files import DerivedFiles
from stemwright.service.errors import Conflict, InvalidRequest, NotFound
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.task import Task
from stemwright.stem_groups import COLOURS, N_GROUPS, Group
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import StoredBlob

VERSION = 1
MAX_NAME_CHARACTERS = 30
MAX_SECONDS = 15 * 60
"""Of a song: five tracks of AAC take a tenth of its time to encode."""


def check_groups(task: Task, groups: Sequence[Group]) -> None:
    """Raises InvalidRequest unless there are four groups that hold each stem that plays once, and no others."""
    if len(groups) != N_GROUPS:
        raise InvalidRequest("group", "Name four groups, or none for the usual ones.")
    known = [stem.name for stem in task.stems]
    placed = [name for group in groups for name in group.stems]
    for group in groups:
        if not group.name or len(group.name) > MAX_NAME_CHARACTERS or not group.name.isprintable():
            raise InvalidRequest("group", f"The name of a group has 1 to {MAX_NAME_CHARACTERS} characters.")
    for name in placed:
        if name not in known:
            raise InvalidRequest("group", f"The separation has no stem named '{name}': it has {', '.join(known)}.")
        if placed.count(name) > 1:
            raise InvalidRequest("group", f"The stem '{name}' is in two groups: leave it in one.")
    left = [stem.name for stem in task.stems if stem.present and stem.name not in placed]
    if left:
        raise InvalidRequest("group", f"No group has {', '.join(left)}: add each stem to one.")


class StemFiles:
    """Makes ``.stem.mp4`` files. Thread-safe."""

    def __init__(self, derived_files: DerivedFiles, copies: LocalCopies, previews: PreviewReader) -> None:
        self._derived_files = derived_files
        self._copies = copies
        self._previews = previews

    def get(self, task: Task, title: str, groups: Sequence[Group], codec: Literal["aac", "alac"]) -> StoredBlob:
        """The file with these groups; whoever asks first waits while it is encoded.

        Raises:
            InvalidRequest: the groups do not hold each stem that plays once.
            Conflict: the song is too long.
            NotFound: the file of a stem is gone.
            PreviewUnavailable: a stem cannot be read, or not in time.
            StorageError: there is no room.
        """
        from stemwright.audio.stem_mp4 import StemGroup  # NumPy: memory that few servers need

        check_groups(task, groups)
        if (task.seconds or 0.0) > MAX_SECONDS:
            raise Conflict(f"A stem.mp4 is made for songs of up to {MAX_SECONDS // 60} minutes: download the stems.")
        by_name = {stem.name: stem for stem in task.stems}
        for stem in task.stems:
            if not self._copies.exists(stem.blob):
                raise NotFound(f"The file of the stem '{stem.name}' is gone; separate the song again.")
        facts = [title, codec, *([group.name, *(by_name[name].blob for name in group.stems)] for group in groups)]
        kind = f"stem-mp4-{VERSION} {hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]}"

        def encode(out: Path) -> None:
            with ExitStack() as files:
                described = [
                    StemGroup(
                        group.name,
                        colour,
                        tuple(files.enter_context(self._copies.file(by_name[name].blob)) for name in group.stems),
                    )
                    for group, colour in zip(groups, COLOURS, strict=True)
                ]
                self._previews.stem_mp4(described, out, codec=codec, title=title)

        first = next(by_name[name].blob for group in groups for name in group.stems)
        return self._derived_files.get(first, kind, encode)
