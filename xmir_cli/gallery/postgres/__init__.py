"""Galleries in a table of PostgreSQL, whose vectors are those of its extension pgvector."""
