"""What the speed benchmark measures: each workload a declaration, with the parties that can take part."""
