"""kie.ai's face: its paths, names, envelope and codes."""
