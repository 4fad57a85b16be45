"""``composer doctor``: was this agent losing plasticity? Forks with and without fresh weights, compared in pairs.

Source: Nikishin et al., Deep reinforcement learning with plasticity injection, arXiv:2305.15555, diagnosis.
Tests: tests/studies/test_doctor.py.
"""
