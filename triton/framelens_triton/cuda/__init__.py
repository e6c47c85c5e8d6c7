"""A GPU by one CUDA library, cuda-python's bindings: memory, streams, graphs, kernels, and arrays of others.

Nothing here is imported where there is no GPU to use; `bindings.py` says what is missing.
"""
