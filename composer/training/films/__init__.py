"""Films of a finished run: an episode of its last and of its best agent, for the tracking store.

``filming`` starts a process at the end of a run and waits a limited time for it; ``process`` is that process;
``record`` plays the episode; ``sheet`` puts frames of it on one picture.
"""
