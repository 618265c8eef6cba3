"""Songs on disk and in memory, the mixes that are made of them, and what the network is given of a mix."""
