"""Losses of deep metric learning: one function each, in a file of its own."""
