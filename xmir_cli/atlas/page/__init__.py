"""An atlas as a page for a browser."""
