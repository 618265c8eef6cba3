"""Metrics that are read at each scrape, most of them from the database: all API servers of one database agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import stemwright
from stemwright.models.device_memory import DeviceMemory, device_memory
from stemwright.service.service import Service
from stemwright.service.task_statistics import ENDED_STATES, Statistics


class ServiceMetrics(Collector):
    """The service's figures.

    Args:
        service: is read.
        n_workers_ready: how many of this server's own workers are ready; None if it has none.
    """

    def __init__(self, service: Service, n_workers_ready: Callable[[], int] | None) -> None:
        self._service = service
        self._n_workers_ready = n_workers_ready

    def describe(self) -> Iterator[Metric]:
        """Empty, so that registering reads nothing from the service."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The current values."""
        info = GaugeMetricFamily("stemwright_info", "The release that runs.", labels=["version"])
        info.add_metric([stemwright.__version__], 1)
        yield info
        yield from _task_metrics(self._service.statistics.read())
        if self._n_workers_ready is not None:
            yield GaugeMetricFamily(
                "stemwright_workers_ready",
                "Workers of this server that have loaded their model.",
                value=self._n_workers_ready(),
            )
        yield from _device_metrics(device_memory())
        disk = shutil.disk_usage(self._service.settings.data)
        yield GaugeMetricFamily(
            "stemwright_disk_free_bytes", "Room left where the data folder is.", value=float(disk.free)
        )


def _device_metrics(devices: tuple[DeviceMemory, ...]) -> Iterator[Metric]:
    used = GaugeMetricFamily(
        "stemwright_device_memory_used_bytes", "Memory in use on a GPU of this machine.", labels=["device"]
    )
    total = GaugeMetricFamily("stemwright_device_memory_bytes", "Memory of a GPU of this machine.", labels=["device"])
    for device in devices:
        used.add_metric([f"cuda:{device.index}"], device.used_bytes)
        total.add_metric([f"cuda:{device.index}"], device.total_bytes)
    yield used
    yield total


def _task_metrics(statistics: Statistics) -> Iterator[Metric]:
    tasks = GaugeMetricFamily("stemwright_tasks", "Tasks that have not ended, by state.", labels=["state"])
    tasks.add_metric(["pending"], statistics.waiting)
    tasks.add_metric(["running"], statistics.running)
    yield tasks
    ended = GaugeMetricFamily(
        "stemwright_tasks_ended", "Tasks that ended in the last 15 minutes, by state.", labels=["state"]
    )
    for state in ENDED_STATES:
        ended.add_metric([state], statistics.ended.get(state, 0))
    yield ended
    depth = GaugeMetricFamily("stemwright_queue_depth", "Tasks that no worker has begun.", labels=["plan"])
    oldest = GaugeMetricFamily(
        "stemwright_queue_oldest_seconds", "How long the oldest task that no worker has begun waits.", labels=["plan"]
    )
    idle = {speed.plan for speed in statistics.speeds} - {queue.plan for queue in statistics.queues}
    for queue in statistics.queues:
        depth.add_metric([queue.plan], queue.length)
        oldest.add_metric([queue.plan], queue.oldest_s)
    for plan in sorted(idle):
        depth.add_metric([plan], 0)
        oldest.add_metric([plan], 0)
    yield depth
    yield oldest
    factor = GaugeMetricFamily(
        "stemwright_real_time_factor",
        "Seconds of song separated per second of work, of tasks that ended in the last 15 minutes.",
        labels=["plan"],
    )
    for speed in statistics.speeds:
        if speed.real_time_factor is not None:
            factor.add_metric([speed.plan], speed.real_time_factor)
    yield factor
    yield GaugeMetricFamily(
        "stemwright_callbacks_due", "Callbacks whose time has come.", value=statistics.callbacks_due
    )
    yield GaugeMetricFamily(
        "stemwright_callback_lag_seconds",
        "How late the oldest callback that is due is.",
        value=statistics.callback_lag_s,
    )
    yield GaugeMetricFamily(
        "stemwright_callbacks_dead",
        "Callbacks given up in the last 15 minutes: their last attempt failed.",
        value=statistics.callbacks_dead,
    )
