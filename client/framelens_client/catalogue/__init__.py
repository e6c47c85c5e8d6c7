"""Imports a catalogue: rows -> entries -> batches -> the gateway, with a journal of what was acknowledged."""
