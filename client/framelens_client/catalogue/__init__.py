"""Imports a catalogue in CSV: rows -> entries -> batches -> the gateway, with a journal of what was acknowledged."""
