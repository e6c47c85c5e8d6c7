"""Trying a candidate on live requests before switching to it: in shadow, or as a canary."""
