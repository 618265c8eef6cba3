"""The example song: its score, its players, its singers and its mix."""
