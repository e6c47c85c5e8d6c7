"""What can go wrong with a peer.

PeerFailure        it was not installed, did not come up, or answers wrongly; nothing is measured
AskFailed          one request was not answered; it counts as one that never was
"""


class PeerFailure(Exception):
    """A peer that cannot be measured, and why."""


class AskFailed(Exception):
    """One request was refused, timed out or broke off."""
