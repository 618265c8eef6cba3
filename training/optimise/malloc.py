"""The C library's allocator, told how a training process uses memory."""

import ctypes


def keep_freed_memory() -> None:
    """Asks the C library to keep freed memory: big tensors come and go, and fresh pages cost more than the sums."""
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for any tensor
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
