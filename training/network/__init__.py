"""The mask networks, their loss, and what is added to their logits."""
