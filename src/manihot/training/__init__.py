"""Networks trained fold by fold."""
