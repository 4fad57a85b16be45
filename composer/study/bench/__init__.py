"""``composer bench``: learner updates a second, side by side with other libraries, measured in one run.

``workloads`` says what is measured and ``entries`` who takes part; ``subjects``, ``peers`` and ``products`` are the
parties as they run inside ``worker`` processes; ``race`` takes turns, ``report`` does the arithmetic, ``command`` ties
all of it together.
"""
