"""Everything the networks of Stemwright are trained on, and how: composing, rendering, mixing, training."""
