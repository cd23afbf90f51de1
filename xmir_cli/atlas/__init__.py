"""The whole space of embeddings in one plane: axes, neighbours, classes, and what is drawn."""
