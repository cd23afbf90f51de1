"""Pure functions on arrays: retrieval and causal metrics."""
