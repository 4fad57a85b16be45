"""From files to one tree of values with their origins."""
