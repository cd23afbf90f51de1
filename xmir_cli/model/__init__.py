"""The single GPU-aware model loader and what it returns."""
