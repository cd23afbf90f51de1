"""The searched set: `folder.py` builds and opens it, `exact.py` and `hnsw.py` search it."""
