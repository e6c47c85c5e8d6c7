"""Videos: decoded, looked at, followed; what is in view is stored, and says when the feed offers recognition."""
