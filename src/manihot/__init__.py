"""Manihot: labelled leaf photos in, an honest classification study out.

`load_model` gives a fitted model of a study, which answers new photos.
"""

from manihot.applied.load import load_model

__all__ = ["load_model"]
