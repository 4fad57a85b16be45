"""Interventions, applied to the networks of a learner."""
