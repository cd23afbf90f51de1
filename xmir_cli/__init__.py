"""Explainable medical image retrieval on the command line."""

__version__ = "0.1.0"
