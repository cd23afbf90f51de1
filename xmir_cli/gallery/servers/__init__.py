"""What galleries on servers have in common, whichever server keeps the items."""
