"""One page for a browser, complete in itself, drawn from records of any schema."""
