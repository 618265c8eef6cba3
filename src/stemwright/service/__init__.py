"""The domain: accounts, tracks, tasks, credits, callbacks. No HTTP in it."""
