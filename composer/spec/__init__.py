"""What every room uses to declare things: specs and families, plug-ins, lazy calls, shapes, random streams, wording."""
