"""Pictures and films of a run: whatever is in ``RUN/media/`` is sent to the run's page in the tracking store.

``files`` says what may be there and how to leave it there; ``sending`` sends it.
"""
