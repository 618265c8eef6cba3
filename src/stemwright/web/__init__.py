"""Pages that browsers show: files alone, no code."""
