"""crun.ai's face: its paths, names, envelope and codes."""
