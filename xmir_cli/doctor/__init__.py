"""The doctor: what of a machine and its packages matters to xmir."""
