"""Studies: what is asked of runs, and of the machine, once training works. Each study is a room of its own."""
