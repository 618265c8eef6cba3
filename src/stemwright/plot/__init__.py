"""Pictures of stems: ``outline`` reads, ``picture`` draws."""
