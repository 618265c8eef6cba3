"""crun.ai's API: its paths, names, envelope and codes."""
