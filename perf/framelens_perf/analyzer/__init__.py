"""NVIDIA's perf_analyzer against a Triton: closed loops, Poisson arrivals, and the largest rate that keeps an SLO."""
