"""The three APIs (faces). Each translates between its wire format and the service."""
