"""Pictures: the stems of a song (``stem_picture``) and the scores of an evaluation (``quality_card``)."""
