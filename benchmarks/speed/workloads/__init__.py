"""The workloads of the speed benchmark, each with its candidates."""
