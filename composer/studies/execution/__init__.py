"""How the runs of a study are trained: ledger, launchers, and what is shown meanwhile."""
