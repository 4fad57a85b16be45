"""Several simulators side by side, which one agent learns at once."""
