"""Returns, policies and advantages: the formulas that losses share."""
