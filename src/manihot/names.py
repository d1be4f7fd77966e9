"""The names of the parts of a study's photos, and how tables and charts say them; the standard library only."""

PARTS = ("train", "validation", "test", "test_as_found")
PART_TITLES = {
    "train": "training photos",
    "validation": "out of fold",
    "test": "test",
    "test_as_found": "test as found",
}
