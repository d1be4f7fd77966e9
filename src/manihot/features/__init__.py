"""Features of frozen networks, and what is fitted on them."""
