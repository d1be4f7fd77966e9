"""Manihot: labelled leaf photos in, an honest classification study out."""
