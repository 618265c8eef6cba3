"""Runs a transaction again that lost to another one."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from stemwright.errors import TransactionConflictError

MAX_ATTEMPTS = 8
FIRST_PAUSE_S = 0.01

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def retry_conflicts(transaction: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorates a function that is one transaction: after a deadlock or a serialization failure it runs again.

    The database has undone everything by then. The function must have no effect outside of the database before the
    commit. The last conflict of ``MAX_ATTEMPTS`` is raised.
    """

    @functools.wraps(transaction)
    def attempts(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for attempt in range(MAX_ATTEMPTS - 1):
            try:
                return transaction(*args, **kwargs)
            except TransactionConflictError:
                time.sleep(FIRST_PAUSE_S * 2**attempt * random.random())
        return transaction(*args, **kwargs)

    return attempts
