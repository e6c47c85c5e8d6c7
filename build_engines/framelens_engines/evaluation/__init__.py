"""Proves an engine version: against the FP32 reference, and beside the version that serves."""
