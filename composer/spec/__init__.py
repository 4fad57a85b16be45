"""The declaration mechanism: specs, families, plug-ins, lazy calls, random streams."""
