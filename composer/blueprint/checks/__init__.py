"""Whether a blueprint is valid: form, meaning, messages."""
