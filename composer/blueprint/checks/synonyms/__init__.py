"""Names that other libraries give to our keys, and the values that they become here."""
