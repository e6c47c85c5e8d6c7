"""Goods that the detector has no name for: boxes of a low score, kept where the catalogue is sure of one of them."""
