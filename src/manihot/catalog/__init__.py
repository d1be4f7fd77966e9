"""What each photo is, and which show the same picture."""
