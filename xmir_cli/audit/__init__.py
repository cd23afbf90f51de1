"""What is wrong with an archive: copies, leaks, labels in doubt, images that lie apart, hubs."""
