"""`make perf`: the critical path, measured beside the limit that the same work has in one process."""
