"""Deep metric learning: losses, sampler, augmentation, loop."""
