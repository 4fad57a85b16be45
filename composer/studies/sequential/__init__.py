"""``--until decided``: seeds are added, block by block, until what is compared is decided or hopeless."""
