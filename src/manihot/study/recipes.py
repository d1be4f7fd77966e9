"""Named ways of learning: what each sets, where the study file does not say."""

from typing import Any

from manihot.study.schema import Learning

# What pretrained networks are fine-tuned with in common practice: small steps that are smaller still below, and no
# statistics of a few small batches.
FINETUNE: dict[str, Any] = {
    "epochs": 15,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "decay_norms": False,
    "layer_decay": 0.8,
    "clip_norm": 1.0,
    "ema": 0.99,
    "schedule": "cosine",
    "warm_up": 0.1,
    "batch_norm": "keep",
    "label_smoothing": 0.1,
}


def filled(entry: dict[str, Any], model: type[Learning]) -> dict[str, Any]:
    """An entry of a kind with what its recipe sets; what it says itself wins.

    `scratch` takes back what `finetune` set in an entry that this one starts from. A name that is no recipe is left
    to the schema.
    """
    preset: dict[str, Any] = {}
    if entry.get("recipe") == "finetune":
        preset = FINETUNE
    elif entry.get("recipe") == "scratch":
        preset = {key: model.model_fields[key].default for key in FINETUNE}
    return preset | entry
