"""Pages drawn from records."""
