"""From records to saliency maps and overlays on disk: what the commands that explain share."""
