"""The study file: blueprints, tasks, seeds and axes, and the points that they make."""
