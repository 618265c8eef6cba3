"""Pictures of stems: ``summary`` reads, ``picture`` draws."""
