"""Songs on disk and in memory, training mixes made from them, and the input features of the network."""
