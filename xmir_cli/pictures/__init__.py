"""The one door for pictures: which images are meant, and what a recipe sees of each."""
