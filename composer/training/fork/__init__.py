"""What of a checkpoint a fork continues. ``composer.training.assemble.fork`` begins one."""
