"""An embedding job: images to rows of unit vectors, in fixed batches, kept on the way."""
