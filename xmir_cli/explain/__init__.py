"""Explaining pairs: from records to saliency maps and overlays on disk."""
