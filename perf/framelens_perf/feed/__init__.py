"""What a feed asks: how fast videos are indexed, in how much memory, and how soon moments are answered."""
