"""Everything else that touches a disk."""
