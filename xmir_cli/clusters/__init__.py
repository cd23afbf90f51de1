"""Kinds of reasons: maps, or embeddings, that are alike in groups (SpRAy)."""
