"""New photos, answered by a fitted model from its records alone."""
