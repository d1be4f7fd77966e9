"""A model of a study as files that work without this project."""
