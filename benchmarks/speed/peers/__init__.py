"""Other libraries as candidates. Each module imports its library, and is imported in a worker process only."""
