"""Experience: what an agent has lived through, stored and sampled."""
