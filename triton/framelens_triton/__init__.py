"""The embedded Triton server, its Python-based backends, and the image operations that run beside the engines."""
