"""Galleries: what commands know of them (`protocol.py`), and what keeps them (`engines.py`)."""
