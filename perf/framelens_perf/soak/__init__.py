"""Load for a long time: whether memory, descriptors, threads or latency grow while nothing else changes."""
