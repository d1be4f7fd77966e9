"""Photos and their labels: read, unpacked, fetched or rendered."""
