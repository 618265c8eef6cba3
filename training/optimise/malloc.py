"""Settings of the C library's allocator for a training process."""

import ctypes


def keep_freed_memory() -> None:
    """Makes the C library keep freed memory: large tensors come and go, and new pages cost more time than computing."""
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for any tensor
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
