"""The example song, and the code that composes and renders it."""
