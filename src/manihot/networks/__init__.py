"""Networks: built, fed, run on a device, and their records."""
