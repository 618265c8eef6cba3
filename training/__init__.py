"""Training data and training of the networks of Stemwright: composition, rendering, mixing, training."""
