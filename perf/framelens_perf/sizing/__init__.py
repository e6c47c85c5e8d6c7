"""`framelens-perf size`: how much of everything a rate needs, by simulating queues with the costs of a report."""
