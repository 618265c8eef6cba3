"""Steps of training: the optimisers, number formats, memory and processes."""
