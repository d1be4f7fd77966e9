"""What each of the two protocols sets, where the study file does not say."""

from typing import Any

# The settings in which the paper's protocol differs from the corrected one. A key of the study file always wins.
PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
    "corrected": {
        "split": {"fold_kind": "stratified", "group_duplicates": True},
        "new_class": {"in_every_fold": False},
        "learning": {"frozen_mode": "eval", "normalisation": "weights", "flips_at_validation": False},
        "sampling": {"leak": False},
        "head": {"kind": "logistic"},
        "boosting": {
            "refit": True,
            "n_estimators": 1000,
            "early_stopping": 20,
            "subsample": 0.7,
            "colsample_bynode": 0.02,
        },
    },
    "published": {
        "split": {"fold_kind": "plain", "group_duplicates": False},
        "new_class": {"in_every_fold": True},
        "learning": {"frozen_mode": "train", "normalisation": "none", "flips_at_validation": True},
        "sampling": {"leak": True},
        "head": {"kind": "adam"},
        "boosting": {
            "refit": False,
            "n_estimators": 100,
            "early_stopping": None,
            "subsample": 1.0,
            "colsample_bynode": 1.0,
        },
    },
}
