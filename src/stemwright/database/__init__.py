"""Tables, their engine and their migrations."""
