"""Two models over the same images: what changed in rankings and in maps."""
