"""The demo, and measurements of the critical path."""
