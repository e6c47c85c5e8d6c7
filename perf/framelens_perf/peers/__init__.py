"""The same models and pictures served by what people would otherwise use, measured like our own endpoint."""
