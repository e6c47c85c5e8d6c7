"""Starts and watches the embedded stack on one machine: Triton, Milvus Lite, gateway."""
