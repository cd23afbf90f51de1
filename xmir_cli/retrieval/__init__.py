"""Asking an index: queries, conditions, and hits as records."""
