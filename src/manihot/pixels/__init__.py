"""Photos decoded once a size."""
