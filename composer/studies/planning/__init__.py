"""What a study costs before it is trained, and above which cost it asks."""
