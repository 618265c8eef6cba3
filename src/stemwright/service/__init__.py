"""Domain layer: accounts, tracks, tasks, credits, callbacks. Independent of HTTP."""
