"""Whether networks still learn the last tasks of a sequence."""
