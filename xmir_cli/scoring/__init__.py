"""Saliency records scored by insertion and deletion: pairs, summaries, comparisons."""
