"""``composer ablate``: what each component of an agent adds to its score, by taking it out and by adding it alone."""
