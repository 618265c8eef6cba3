"""Our own face, /v1."""
