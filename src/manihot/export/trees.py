"""Boosted trees as tensors, so that an ONNX graph takes them with it: no library of trees is needed to run them."""

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Trees(nn.Module):
    """XGBoost's trees of a softmax: features float32 [n, D] to probabilities [n, K].

    Every photo stands at the root of every tree and steps down, left where its feature lies below the threshold, as
    often as the deepest tree is deep; a leaf leads to itself. Features are finite: nothing is missing.
    """

    left: Tensor
    right: Tensor
    feature: Tensor
    threshold: Tensor
    value: Tensor
    roots: Tensor
    of_class: Tensor
    base: Tensor

    def __init__(self, content: bytes | bytearray, classes: int):
        """Of what `Booster.save_raw("json")` gives."""
        super().__init__()
        learner = json.loads(content)["learner"]
        model = learner["gradient_booster"]["model"]
        grown = [_Tree(tree) for tree in model["trees"]]
        most = max((len(tree.left) for tree in grown), default=1)
        self.depth = max((tree.depth for tree in grown), default=0)
        padded = {name: np.stack([tree.padded(name, most) for tree in grown]) for name in _Tree.ARRAYS}
        # Where each tree's nodes begin, in all trees' nodes one after the other.
        starts = np.arange(len(grown), dtype=np.int64)[:, None] * most
        for name, values in padded.items():
            values = values + starts if name in ("left", "right") else values
            self.register_buffer(name, torch.from_numpy(values.reshape(-1)), persistent=False)
        self.register_buffer("roots", torch.from_numpy(starts[:, 0]), persistent=False)
        of_class = np.zeros((len(grown), classes), np.float32)
        of_class[np.arange(len(grown)), model["tree_info"]] = 1
        self.register_buffer("of_class", torch.from_numpy(of_class), persistent=False)
        base = np.array(json.loads(f"[{learner['learner_model_param']['base_score'].strip('[]')}]"), np.float32)
        self.register_buffer("base", torch.from_numpy(np.broadcast_to(base, classes).copy()), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """The probabilities."""
        nodes = self.roots.expand(features.shape[0], -1)
        for _ in range(self.depth):
            seen = features.gather(1, self.feature[nodes])
            nodes = torch.where(seen < self.threshold[nodes], self.left[nodes], self.right[nodes])
        return (self.value[nodes] @ self.of_class + self.base).softmax(dim=1)


class _Tree:
    """A tree's nodes: the children (a leaf's are itself), the feature and threshold, and the value of leaves."""

    ARRAYS = ("left", "right", "feature", "threshold", "value")

    def __init__(self, tree: dict[str, Any]):
        left, right = (np.array(tree[f"{side}_children"], np.int64) for side in ("left", "right"))
        itself, leaf = np.arange(len(left)), left < 0
        self.left, self.right = np.where(leaf, itself, left), np.where(leaf, itself, right)
        self.feature = np.where(leaf, 0, np.array(tree["split_indices"], np.int64))
        conditions = np.array(tree["split_conditions"], np.float32)
        self.threshold = conditions
        self.value = np.where(leaf, conditions, np.float32(0))
        deep = np.zeros(len(left), np.int64)
        for node in np.flatnonzero(~leaf):  # a node comes before its children
            deep[[left[node], right[node]]] = deep[node] + 1
        self.depth = int(deep.max(initial=0))

    def padded(self, name: str, length: int) -> NDArray[Any]:
        """One of ARRAYS, with zeros up to a length."""
        values = getattr(self, name)
        return np.pad(values, (0, length - len(values)))
