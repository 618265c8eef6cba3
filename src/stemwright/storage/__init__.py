"""Files, by the digest of what is in them."""
