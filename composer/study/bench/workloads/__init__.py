"""What is measured: one file a kind of work, ``catalogue`` lists all that ``composer bench`` knows. Free of torch."""
