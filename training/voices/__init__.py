"""Singing made from speech synthesis through the WORLD vocoder."""
