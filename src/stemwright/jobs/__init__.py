"""The queue and the processes that work it off. They know of tasks by their ids only."""
