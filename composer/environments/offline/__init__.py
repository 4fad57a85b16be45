"""Data sets of transitions as what an agent learns from, instead of a simulator or before it."""
