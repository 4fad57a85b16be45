"""Reading a blueprint without running it."""
