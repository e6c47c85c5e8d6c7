"""The page on which a person tries FrameLens: static files, and samples to begin with."""
