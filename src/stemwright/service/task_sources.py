"""Sources of a task's song: ids from a client, or a URL."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stemwright.service.duration_reader import DurationReader
from stemwright.service.errors import RecordMissing
from stemwright.service.links import Links
from stemwright.service.task import Task
from stemwright.service.tasks import Tasks
from stemwright.service.tracks import StoredSong, Tracks
from stemwright.service.uploads import Uploads
from stemwright.service.upstream import Upstream
from stemwright.service.url_fetcher import Fetcher
from stemwright.storage.store import Store, StoredBlob

MISSING = "Record does not exist"
"""The vendor's message for unknown ids (docs/contracts.md, section 2.3)."""


@dataclass(frozen=True)
class TaskSource:
    """Source of a song: a track, a URL that a worker fetches, or a stored file that becomes a track with its task.

    ``stem_name`` is the name of the stem if the file is one, else None.
    """

    track_id: str | None = None
    url: str | None = None
    song: StoredSong | None = None
    stem_name: str | None = None


class TaskSources:
    """Finds songs in the store, at the vendor, or by URL."""

    def __init__(
        self,
        tracks: Tracks,
        tasks: Tasks,
        uploads: Uploads,
        links: Links,
        upstream: Upstream,
        fetcher: Fetcher,
        store: Store,
        duration_reader: DurationReader,
    ) -> None:
        self._tracks = tracks
        self._tasks = tasks
        self._uploads = uploads
        self._links = links
        self._upstream = upstream
        self._fetcher = fetcher
        self._store = store
        self._duration_reader = duration_reader

    def by_ids(self, account_id: str, task_id: str, audio_id: str) -> TaskSource:
        """Returns the song with both ids: first a track, then a stem of a local task, then a song at the vendor.

        Raises:
            RecordMissing: the ids are unknown.
            UpstreamTimeout, SourceUnavailable: the vendor's response was late or an error.
        """
        track = self._tracks.find(account_id, task_id, audio_id)
        if track is not None:
            return TaskSource(track.id)
        task = self._tasks.get(account_id, task_id)
        if task is not None:
            return self._by_stem(task, audio_id)
        found = self._upstream.look_up(account_id, task_id, audio_id)
        if found is None:
            raise RecordMissing(MISSING)
        return TaskSource(found.id)

    def by_url(self, account_id: str, url: str) -> TaskSource:
        """Returns the song at a URL. URLs under this server's own address are looked up in the store, never fetched.

        Raises:
            InvalidRequest: the URL is invalid.
        """
        self._fetcher.check_syntax(url)
        link = self._links.resolve(url)
        if link is None:
            return TaskSource(url=url)
        if link.kind == "track":
            known = self._tracks.get(account_id, link.id)
            return TaskSource(known.id) if known is not None else TaskSource(url=url)
        if link.kind == "stem":
            task = self._tasks.of_stem(account_id, link.id)
            return self._by_stem(task, link.id) if task is not None else TaskSource(url=url)
        upload = self._uploads.get(account_id, link.id)
        if upload is None or upload.blob is None:
            return TaskSource(url=url)
        blob = StoredBlob(upload.blob, upload.size_bytes)
        name = upload.path.rpartition("/")[2]
        path = self._store.local_path(blob.digest)  # files in an object store are not downloaded to read headers
        seconds = self._duration_reader.seconds(path) if path is not None else None
        return self._stored(blob, name, upload.media_type, seconds)

    def _by_stem(self, task: Task, stem_id: str) -> TaskSource:
        for stem in task.stems:
            if stem.id == stem_id:
                blob = StoredBlob(stem.blob, stem.size_bytes)
                return replace(
                    self._stored(blob, f"{stem.name}.{stem.format}", None, stem.seconds), stem_name=stem.name
                )
        raise RecordMissing(MISSING)

    def _stored(self, blob: StoredBlob, name: str, media_type: str | None, seconds: float | None) -> TaskSource:
        if not self._store.renew(blob.digest):
            raise RecordMissing(MISSING)
        return TaskSource(song=StoredSong(blob, name.rpartition(".")[0] or name, name, media_type, seconds))
