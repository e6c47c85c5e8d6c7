"""A process of its own that decodes a video and chooses frames to look at: what breaks in it breaks nothing else."""
