"""The faces: each translates a wire contract to the service, and back."""
