"""composer: deep-RL agents, and what is done to them while they learn, declared in one file."""

__version__ = "0.1.0"
