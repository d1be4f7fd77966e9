"""Scores with intervals, comparisons, summaries."""
