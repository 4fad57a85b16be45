"""Whether ``composer ablate`` labels planted components rightly."""
