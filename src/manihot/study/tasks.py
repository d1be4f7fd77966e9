"""Tasks that a machine's speeds give a price, and jobs as amounts of them; the standard library only."""

from dataclasses import dataclass
from typing import Literal

# What a job imports before it can begin.
Start = Literal["tables", "probes", "torch", "heads", "networks", "boosting", "report"]
# How long a run measures, in seconds: for every photo of the study, and at most; imports take some four more.
SECONDS_A_PHOTO, MOST_SECONDS = 0.003, 8.0


@dataclass(frozen=True)
class Task:
    """Something whose time, or whose size on the disk, a machine is asked for.

    Time, by `kind` and unit: `look`, `decode`, `demo` (a photo); `train`, `predict`, `features`, `store` (a photo that
    passes through a network, or its part below `train_from`), `upper`, `upper_predict` (through the part above);
    `build` (a network made, and its first batch); `trees` (a round); `logistic` (a fit, tuning included); `adam` (a
    step); `resample` (a photo in a resample); `chart` (one); `measure` (a second of measuring). Disk: `weights` (of a
    network), `width` and `row` (the features, and the activations, of a photo), `demo` (a photo), `trees` (a round).
    """

    kind: str
    network: str = ""
    size: int = 0
    batch_size: int = 0
    frozen: bool = False
    train_from: str | None = None
    rows: int = 0
    classes: int = 0
    depth: int = 0
    subsample: float = 1.0
    colsample: float = 1.0


Amounts = tuple[tuple[Task, float], ...]


@dataclass(frozen=True)
class Amount:
    """A job: its rule, its name as a run says it, what it imports, how many units it has of each task, its threads, and
    what it leaves on the disk: bytes, and units of tasks."""

    rule: str
    label: str
    start: Start = "tables"
    work: Amounts = ()
    threads: int = 1
    bytes: float = 0.0
    disk: Amounts = ()
