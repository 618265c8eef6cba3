"""Composition: writes songs as notes, which other packages render to audio."""
