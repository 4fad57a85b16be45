"""Plain torch modules and pure functions that take plain values; usable without blueprints. Imports torch."""
