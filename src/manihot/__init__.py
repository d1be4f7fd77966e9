"""Manihot: labelled leaf photos in, an honest classification study out."""

__version__ = "0.1.0"
