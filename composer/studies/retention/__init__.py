"""``composer retention``: whether networks still learn the last tasks of a sequence."""
