"""Renders composed songs into a corpus: studio processing of stems, and folders of FLAC files."""
