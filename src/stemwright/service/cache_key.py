"""The key of cached results: tasks with equal keys get equal stems."""

from __future__ import annotations

import hashlib
import json

import stemwright
from stemwright.models import licences, registry, weight_store
from stemwright.separation.plan import plan_of
from stemwright.service.task import Task


def cache_key_of(task: Task, song: str) -> str:
    """Returns the cache key of a task: equal keys give equal stems."""
    models = [registry.find(name) for step in plan_of(task.plan).steps for name in step.models]
    facts = {
        "song": song,
        "plan": task.plan,
        "licences": licences.policy(),
        "models": [model.identity for model in models if weight_store.is_available(model)],
        "stems": task.stems_asked,
        "format": task.format,
        "bit_depth": task.bit_depth,
        "bitrate_kbps": task.bitrate_kbps,
        "version": stemwright.__version__,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
