"""From files to one table of values, each with its origin."""
