"""What measurements ask: frames of feed videos, a catalogue to find them in, and a mix of requests."""
