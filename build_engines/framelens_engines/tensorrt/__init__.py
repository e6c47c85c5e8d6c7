"""Plans for TensorRT: what they are built for, which of the two builders is installed, and what is in them."""
