"""Galleries in a collection of Qdrant."""
