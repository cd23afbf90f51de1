"""Saliency of whole classes: mean maps, their differences, and whether these are chance."""
