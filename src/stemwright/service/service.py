"""The domain services in one object, for faces, workers and the command line."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stemwright.database.engine import Database
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.queue import Queue
from stemwright.service import server_state
from stemwright.service.account_keys import AccountKeys
from stemwright.service.accounts import Accounts
from stemwright.service.blobs import BlobRecords
from stemwright.service.callbacks import Callbacks
from stemwright.service.clock import Clock, steady_time
from stemwright.service.credit_ledger import Ledger
from stemwright.service.derived_files import DerivedFiles
from stemwright.service.duration_reader import DurationReader
from stemwright.service.fleet import Fleet
from stemwright.service.keys import Keys
from stemwright.service.links import Links
from stemwright.service.model_downloads import ModelDownloads
from stemwright.service.operations import Operations
from stemwright.service.peaks_files import PeaksFiles
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.rate_limits import MemoryRateLimiter
from stemwright.service.renderings import Renderings
from stemwright.service.retention import Retention
from stemwright.service.sessions import Sessions
from stemwright.service.shared_rate_limits import SharedRateLimiter
from stemwright.service.spectrograms import Spectrograms
from stemwright.service.stem_files import StemFiles
from stemwright.service.storage_quota import StorageQuota
from stemwright.service.task_completion import TaskCompletion
from stemwright.service.task_sources import TaskSources
from stemwright.service.task_statistics import TaskStatistics
from stemwright.service.tasks import Tasks
from stemwright.service.tracks import Tracks
from stemwright.service.uploads import Uploads
from stemwright.service.upstream import Upstream
from stemwright.service.url_fetcher import Fetcher
from stemwright.service.usage import Usage
from stemwright.service.worker_tasks import WorkerTasks
from stemwright.service.working_copies import WorkingCopies
from stemwright.settings import Settings
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store


@dataclass(frozen=True)
class Service:
    """Domain services on one data folder. Thread-safe; each process opens its own."""

    settings: Settings
    clock: Clock
    database: Database
    store: Store
    copies: LocalCopies
    queue: Queue
    fleet: Fleet
    accounts: Accounts
    keys: Keys
    account_keys: AccountKeys
    sessions: Sessions
    usage: Usage
    operations: Operations
    model_downloads: ModelDownloads
    ledger: Ledger
    tracks: Tracks
    tasks: Tasks
    worker_tasks: WorkerTasks
    working_copies: WorkingCopies
    uploads: Uploads
    storage_quota: StorageQuota
    links: Links
    task_sources: TaskSources
    headers: DurationReader
    peaks: PeaksFiles
    previews: PreviewReader
    derived_files: DerivedFiles
    spectrograms: Spectrograms
    stem_files: StemFiles
    renderings: Renderings
    fetcher: Fetcher
    upstream: Upstream
    callbacks: Callbacks
    retention: Retention
    statistics: TaskStatistics

    @classmethod
    def open(cls, settings: Settings, clock: Clock = time.time, steady: Clock = steady_time) -> Service:
        """Opens the data folder, creates it if missing, and migrates its tables.

        Args:
            settings: name the folder.
            clock: seconds since 1970.
            steady: seconds of a monotonic clock.

        Raises:
            StorageError: the folder cannot be created or written.
        """
        database = Database.open(settings)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        store = Store.open(settings, BlobRecords(database, clock).record)
        copies = LocalCopies(store, settings.copies_mb * 1_000_000)
        queue = open_queue(database, clock)
        ledger = Ledger(database, clock)
        tracks = Tracks(database, settings, clock)
        completion = TaskCompletion(queue, ledger, clock)
        rate_limiter = MemoryRateLimiter() if database.is_sqlite else SharedRateLimiter(database)
        tasks = Tasks(database, settings, queue, ledger, tracks, rate_limiter, completion, clock)
        uploads = Uploads(database, settings, clock)
        links = Links(public_url(settings), server_state.secret(database, "link_secret"), clock)
        fetcher = Fetcher(settings)
        upstream = Upstream(settings, tracks)
        headers = DurationReader()
        keys = Keys(database, clock)
        previews = PreviewReader()
        derived_files = DerivedFiles(database, store, clock)
        return cls(
            settings=settings,
            clock=clock,
            database=database,
            store=store,
            copies=copies,
            queue=queue,
            fleet=Fleet(database, settings),
            accounts=Accounts(database, clock),
            keys=keys,
            account_keys=AccountKeys(database, clock),
            sessions=Sessions(database, keys, clock),
            usage=Usage(database, clock),
            operations=Operations(database, clock),
            model_downloads=ModelDownloads(),
            ledger=ledger,
            tracks=tracks,
            tasks=tasks,
            worker_tasks=WorkerTasks(database, queue, completion, clock),
            working_copies=WorkingCopies(database, queue, store, clock),
            uploads=uploads,
            storage_quota=StorageQuota(database, settings),
            links=links,
            task_sources=TaskSources(tracks, tasks, uploads, links, upstream, fetcher, store, headers),
            headers=headers,
            peaks=PeaksFiles(database, store, copies, previews),
            previews=previews,
            derived_files=derived_files,
            stem_files=StemFiles(derived_files, copies, previews),
            renderings=Renderings(database, settings, store, copies, derived_files, previews, clock),
            spectrograms=Spectrograms(derived_files, store, copies, previews),
            fetcher=fetcher,
            upstream=upstream,
            callbacks=Callbacks(database, settings, fetcher, tasks, clock),
            retention=Retention(database, settings, store, clock, steady),
            statistics=TaskStatistics(database, clock),
        )

    def close(self) -> None:
        """Waits for running callbacks, then closes the connections and the processes that read sound files."""
        self.callbacks.close()
        self.model_downloads.close()
        self.headers.close()
        self.renderings.close()
        self.previews.close()
        self.database.close()


def public_url(settings: Settings) -> str:
    """Returns the base URL of links: the public address, or the listening address."""
    if settings.public_url:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"
