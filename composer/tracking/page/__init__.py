"""The MLflow page of an experiment: names of its headline metrics, shared views, and the note with links to them."""
