"""Charts as small SVG texts."""
