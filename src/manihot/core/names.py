"""Names that many modules share: the parts of a study's photos, and the files of a fitted fold."""

PARTS = ("train", "validation", "test", "test_as_found")
PART_TITLES = {
    "train": "training photos",
    "validation": "out of fold",
    "test": "test",
    "test_as_found": "test as found",
}
# A model's answers besides its own probabilities: for the class shares of each part, and with its temperature too.
ANSWERS = ("corrected", "calibrated")
# A fitted fold's record, and the file of its weights by the kind of model.
RECORD = "model.json"
# The record of a model's prediction sets, beside its own.
SETS = "conformal.json"
WEIGHTS = {
    "network": "weights.safetensors",
    "tta": "weights.safetensors",
    "head": "weights.safetensors",
    "boosting": "booster.ubj",
}
