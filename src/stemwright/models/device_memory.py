"""Memory of this machine's NVIDIA devices, as the driver reports it: of all processes, not only this one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of one device; ``index`` is the driver's number of it."""

    index: int
    used_bytes: int
    total_bytes: int


def device_memory() -> tuple[DeviceMemory, ...]:
    """Every device; empty without a driver, or without the package ``nvidia-ml-py``."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver on this machine
        return ()
    try:
        return tuple(_memory(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:  # a device has fallen off the bus: other figures must still be read
        return ()
    finally:
        pynvml.nvmlShutdown()


def _memory(index: int) -> DeviceMemory:
    import pynvml

    found = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(index))
    return DeviceMemory(index, int(found.used), int(found.total))
