"""The key of cached results: tasks with equal keys get equal stems."""

from __future__ import annotations

import hashlib
import json

import stemwright
from stemwright.models import licences
from stemwright.separation.model_choice import installed_choice
from stemwright.separation.plan import plan_of
from stemwright.service.task import Task
from stemwright.stems import select


def cache_key_of(task: Task, song: str) -> str:
    """Returns the cache key of a task: equal keys give equal stems.

    The plan of a task is never ``auto``: the faces resolve it when they accept the task.
    """
    choice = installed_choice(plan_of(task.plan), select(task.stems_asked), licences.policy())
    facts = {
        "song": song,
        "plan": task.plan,
        "licences": licences.policy(),
        "models": [] if choice is None else [model.identity for model in choice.models],
        "stems": task.stems_asked,
        "format": task.format,
        "bit_depth": task.bit_depth,
        "bitrate_kbps": task.bitrate_kbps,
        "version": stemwright.__version__,
        **({} if task.playing is None else {"playing": task.playing}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
