"""What experts marked on images, masks and boxes, wherever it is kept."""
