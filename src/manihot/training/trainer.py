"""A network in training, an epoch at a time; from a checkpoint it goes on as if never interrupted."""

import json
import logging
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from manihot.core.errors import StudyError
from manihot.core.state import State
from manihot.networks import augment, build, cut, losses
from manihot.networks.activations import ActivationBatches, Activations
from manihot.networks.batches import Batches, Gathered, Photos
from manihot.networks.blocks import Block
from manihot.networks.bundle import Bundle
from manihot.networks.cut import Upper
from manihot.networks.device import precision
from manihot.splits.folds import targets
from manihot.training.optimizer import Average, optimizer
from manihot.training.recipe import Recipe, rates

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class LabelledPhotos:
    """Pixels uint8 [n, side, side, 3], class indices int64 [n], and an integer for each photo, uint64 [n].

    A network that is trained from a cut on has `Activations` in place of pixels.
    """

    pixels: Photos | Activations
    targets: NDArray[np.int64]
    keys: NDArray[np.uint64]

    @classmethod
    def of(cls, photos: pd.DataFrame, labels: Sequence[str], pixels: Photos | Activations) -> "LabelledPhotos":
        """The photos of a table with their pixels; `labels` gives the order of the classes."""
        return cls(pixels, targets(photos, labels), augment.photo_keys(photos))


class Trainer:
    """A network in training on one device: its weights, its optimizer and its history so far.

    `where` names the work in messages; `seed` is that of this fold. `model` is the whole network, `trained` the part of
    it that is run: all of it, or its upper part where the recipe trains from a cut on.
    """

    def __init__(
        self,
        recipe: Recipe,
        where: str,
        seed: int,
        classes: int,
        training: LabelledPhotos,
        validation: LabelledPhotos,
        weights: Path | None,
        device: torch.device,
    ):
        self.recipe, self.where, self.seed, self.device = recipe, where, seed, device
        self.dtype = precision(recipe.compute.precision, device)
        self.training, self.validation = training, validation
        self.train_batches, self.validation_batches = (
            _batches(known.pixels, recipe, device) for known in (training, validation)
        )
        self.targets = torch.from_numpy(training.targets).to(device)
        self.validation_targets = torch.from_numpy(validation.targets).to(device)
        self.model = build.classifier(
            recipe.input.network, classes, recipe.input.size, recipe.dropout, weights, recipe.frozen,
            augment.derive(seed, zlib.crc32(b"initial weights")), recipe.drop_path,
        ).to(device)  # fmt: skip
        self.trained: nn.Module = self.model
        self.changes, self.mixing = augment.parts(recipe.augment)
        self.augmentation: augment.Augmentation | augment.DrawnViews = self.changes
        if recipe.train_from is not None:
            self.trained = cut.split(self.model, recipe.train_from, recipe.input.size)[1]
            self.augmentation = augment.DrawnViews(len(recipe.views))
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = optimizer(recipe, self.model)
        self.average = Average(self.trained, recipe.ema) if recipe.ema else None
        self.loss = _loss(recipe, training.targets, classes, device)
        self.steps = math.ceil(len(training.targets) / recipe.batch_size)
        self.rates = rates(recipe, recipe.epochs * self.steps)
        self.history: list[dict[str, Any]] = []

    def start_from(self, head: Bundle) -> None:
        """Let the last layer start as a head that was fitted on the network's features: what is below is then not bent
        towards a layer that knows nothing yet (Kumar et al. 2022, arXiv 2202.10054).

        Raises:
            StudyError: the head is damaged, or the last layer is not one that takes features in.
        """
        _, layer = build.last_layer(self.model)
        start = load(head.weights())
        if not isinstance(layer, nn.Linear) or layer.bias is None or layer.weight.shape != start["weight"].shape:
            raise StudyError(
                f"{self.where}: a head of {head.record['backbones'][0]['network']} is no start for the last layer of "
                f"{self.recipe.input.network}: take head_from out"
            )
        layer.load_state_dict({name: start[name] for name in ("weight", "bias")})
        if self.average:
            self.average = Average(self.trained, self.recipe.ema)

    @property
    def done(self) -> bool:
        """Whether the last epoch is over."""
        return len(self.history) == self.recipe.epochs

    def autocast(self) -> torch.autocast:
        """The context in which convolutions and matrix products are computed in the precision chosen."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def run_epoch(self, progress: Progress) -> None:
        """One pass over the training photos, validation after it, and a row of history.

        Raises:
            StudyError: the loss is no longer a number, the device has too little memory, or batch norm one photo.
        """
        epoch = len(self.history) + 1
        devices = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices):
                torch.manual_seed(augment.derive(self.seed, epoch, zlib.crc32(b"dropout")))
                row = self._train(epoch, progress)
            row |= self._validate(epoch)
        except torch.OutOfMemoryError as error:
            raise StudyError(
                f"{self.where}: a batch of {self.recipe.batch_size} does not fit into {self.device}: "
                "lower batch_size, size or gpu_slots"
            ) from error
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise StudyError(
                f"{self.where}: the last batch is a single photo, whose maps at {self.recipe.input.size} px are single "
                "pixels: batch norm has nothing to average: change batch_size, train_photos or size"
            ) from error
        self.history.append(row)
        log.info("%s: %s", self.where, row)

    def _train(self, epoch: int, progress: Progress) -> dict[str, Any]:
        """One pass over the training photos. Where photos are mixed, accuracy is measured against the label of the
        larger part of each mixture: low values are no sign of underfitting."""
        recipe, n = self.recipe, len(self.targets)
        self._to_train()
        changes = self.augmentation.draw(self.training.keys, self.seed, epoch, self.device)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        first = (epoch - 1) * self.steps
        batches = self.train_batches(augment.random_order(self.seed, epoch, n), recipe.batch_size, changes)
        for step, (photos, index) in enumerate(batches, start=first):
            rate, beta = self.rates[step]
            for group in self.optimizer.param_groups:
                group["lr"], group["betas"] = rate * group["scale"], (beta, group["betas"][1])
            targets = self.targets[index]
            mix = self.mixing.draw(self.seed, epoch, step, len(index), self.device)
            if mix is not None:
                photos, own = mix.photos(photos)
            with self.autocast():
                logits = self.trained(photos)
            if mix is None:
                batch_loss = self.loss(logits.float(), targets)
            else:
                batch_loss = mix.loss(self.loss, logits.float(), targets, own)
                targets = mix.larger(targets, own)
            batch_loss.backward()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(self.parameters, recipe.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.average:
                self.average.update(self.trained, step + 1)
            # Sums stay on the device: reading one would make the host wait for it.
            loss_sum += batch_loss.detach() * len(index)
            correct += (logits.detach().argmax(1) == targets).sum()
            progress(step + 1, len(self.rates), self._summary())
            # What outlives a step splits the memory that the next one's maps need whole.
            del photos, logits, batch_loss
        loss = loss_sum.item() / n
        if not math.isfinite(loss):
            raise StudyError(
                f"{self.where}, epoch {epoch}: the loss is no longer a number: lower learning_rate "
                f"(now {recipe.learning_rate:g}) or set precision to float32"
            )
        accuracy = correct.item() / n
        return {"epoch": epoch, "train_loss": loss, "train_accuracy": accuracy, "learning_rate": rate}

    def _to_train(self) -> None:
        """Put the network into the mode in which the recipe trains it."""
        # Frozen in eval mode, a network behaves as one whose last layer is fitted on stored features.
        self.trained.train(not (self.recipe.frozen and self.recipe.frozen_mode == "eval"))
        if self.recipe.batch_norm == "keep":
            for module in self.trained.modules():
                if isinstance(module, _BatchNorm | Block):
                    module.eval()

    def _outputs(self, photos: Tensor) -> Tensor:
        """The logits that the network to be saved gives, float32 [b, K]."""
        values = {} if self.average is None else self.average.values
        logits: Tensor = functional_call(self.trained, values, photos)
        return logits.float()

    @torch.inference_mode()
    def _validate(self, epoch: int) -> dict[str, Any]:
        """Loss and accuracy of the validation photos in eval mode; None where there are none."""
        n = len(self.validation_targets)
        if n == 0:
            return {"validation_loss": None, "validation_accuracy": None}
        self.trained.eval()
        # Stored activations are judged in their first view, the photo as it is.
        flips = self.recipe.flips_at_validation and self.trained is self.model
        augmentation = self.changes.at_validation() if flips else augment.Augmentation()
        changes = augmentation.draw(self.validation.keys, self.seed, epoch, self.device)
        with self.autocast():
            batches, size = self.validation_batches, self.recipe.batch_size
            logits = batches.outputs(self._outputs, size, changes)
        accuracy = (logits.argmax(1) == self.validation_targets).double().mean()
        return {
            "validation_loss": self.loss(logits, self.validation_targets).item(),
            "validation_accuracy": accuracy.item(),
        }

    def _summary(self) -> str:
        if not self.history:
            return f"epoch 1 of {self.recipe.epochs}"
        row = self.history[-1]
        shown = row["train_accuracy"] if row["validation_accuracy"] is None else row["validation_accuracy"]
        return f"epoch {len(self.history) + 1} of {self.recipe.epochs}, accuracy {shown:.3f}"

    def checkpoint(self) -> bytes:
        """Everything that the next epoch depends on."""
        tensors = {f"model.{name}": value for name, value in self.trained.state_dict().items()}
        for place, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{place}.{name}"] = value
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.values.items()}
        facts = {"computed": self._computed(), "history": self.history}
        return save(_contiguous(tensors), {"facts": json.dumps(facts)})

    def weights(self) -> bytes:
        """The whole network's weights, or their average where the recipe has one, as safetensors: the same bytes for
        the same numbers."""
        values = self.average.values if self.average else self.trained.state_dict()
        return save(_contiguous(self.trained.whole(self.model, values) if isinstance(self.trained, Upper) else values))

    def resume(self, state: State) -> int:
        """Go on from the checkpoint that a killed job left, if one fits; returns how many epochs are done."""
        content = state.load(CHECKPOINT)
        if content is None:
            return 0
        # The header of a safetensors file: its length in 8 bytes, then JSON.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts = json.loads(header["__metadata__"]["facts"])
        if facts["computed"] != self._computed():
            log.warning("%s: a checkpoint of %s is not used: this starts again", self.where, facts["computed"])
            return 0
        self.history = facts["history"]
        self._restore(load(content))
        log.info("%s: going on after epoch %d", self.where, len(self.history))
        return len(self.history)

    def _computed(self) -> str:
        return f"{self.device.type} in {self.dtype}"

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        kept: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind in kept:
                kept[kind][rest] = value
            else:
                place, _, key = rest.partition(".")
                parameter = self.parameters[int(place)].detach()
                # The optimizer walks through memory: its sums need their parameter's layout.
                like = torch.empty_like(parameter) if value.shape else parameter.new_empty(())
                self.optimizer.state[self.parameters[int(place)]][key] = like.copy_(value)
        self.trained.load_state_dict(kept["model"])
        if self.average:
            self.average.load(kept["average"])


def _batches(known: Photos | Activations, recipe: Recipe, device: torch.device) -> Gathered[Any]:
    if isinstance(known, Activations):
        return ActivationBatches(known, device)
    return Batches(known, device, recipe.input.channels(), recipe.input.size)


def _loss(recipe: Recipe, targets: NDArray[np.int64], classes: int, device: torch.device) -> nn.Module:
    if recipe.loss == "logit_adjusted":
        return losses.LogitAdjusted(losses.shares(targets, classes), recipe.label_smoothing).to(device)
    return losses.cross_entropy(recipe.class_weights, recipe.label_smoothing, targets, classes, device)


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
