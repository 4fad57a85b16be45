"""``composer simplicity``: how simple the functions are that networks compute before any training."""
