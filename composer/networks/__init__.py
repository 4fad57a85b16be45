"""Networks: blocks, heads, modules, and how they are stacked and initialised."""
