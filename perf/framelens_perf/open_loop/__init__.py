"""Open-loop load: requests leave when a schedule says so, whatever became of the ones before."""
