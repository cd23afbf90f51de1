"""Private doors of torch, and of what torchvision and timm ask of it."""
