"""What a run will take, before it runs: memory, operations, firings, clock, program."""
