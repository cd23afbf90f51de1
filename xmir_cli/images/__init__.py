"""Files to pictures, and what was done on the way."""
