"""What a shell offers after TAB: blueprints, variants, keys, values, runs, kinds. No part of it imports the schema.

``arguments`` has a function for each kind of argument, ``files`` finds what lies on the disk, ``keys`` walks through a
blueprint and its JSON Schema, ``vocabulary`` keeps that schema and all names in a file, ``bash`` answers a shell that
takes words apart. Tests: tests/cli/completion/.
"""
