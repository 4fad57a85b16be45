"""``composer search``: choose values of a blueprint's keys by trying them."""
