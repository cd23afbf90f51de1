"""One file a saliency method; this folder is the registry."""
