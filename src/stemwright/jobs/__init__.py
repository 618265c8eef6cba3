"""Task queue and worker processes. This package handles tasks by id only."""
