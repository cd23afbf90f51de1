"""The index artefact: `folder.py` builds and opens it, `exact.py` and `hnsw.py` search it."""
