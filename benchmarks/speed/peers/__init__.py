"""Other libraries as parties. Each module imports its library, and is imported in a worker process only."""
