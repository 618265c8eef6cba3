"""Renders composed songs into a corpus: what is done to a stem in the studio, and folders of FLAC files."""
