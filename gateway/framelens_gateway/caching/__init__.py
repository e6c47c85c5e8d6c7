"""Answers that are given again: what was found in a frame, and what a vector's search came to."""
