"""What to try: the search space and successive halving, for sweeps and adaptive experiments alike."""
