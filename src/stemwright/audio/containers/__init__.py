"""Container parsers: find the audio streams of a file and their lengths."""
