"""Pictures of one run: what it computes, how it learns, which intervention fired when. They go to ``RUN/media/``."""
