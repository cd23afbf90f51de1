"""Galleries: indexes that are searched. `folder/` is the engine of indexes in a folder."""
