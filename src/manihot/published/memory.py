"""The paper's second conclusion, on memory.

It rests on costs, which hold a clock: so the report weighs it, and `published/conclusions.json` is without it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

MEMORY = "Memory grows linearly with the batch, most of it activations; frozen backbones need little."
STRAIGHT = 0.1  # a line fits that leaves no point further off than this share of the rise


def memory(costs: pd.DataFrame, study: Mapping[str, Any]) -> pd.DataFrame:
    """Peak memory (largest job) in MB: `what,network,size,photos,device,batch_size,mb`, a row what ran.

    `costs` has a row a job, `study` is the plain content of the resolved study.
    """
    ran = {
        "train_fold": ("training", study.get("experiments", {})),
        "check_overfit": ("training", study.get("overfit", {})),
        "extract_features": ("features", study.get("backbones", {})),
    }
    rows = []
    for (stage, name), jobs in costs.groupby(["stage", "name"]):
        what, entries = ran.get(stage, ("", {}))
        if name in entries:
            entry = entries[name]
            keys = {key: entry.get(key) for key in ("network", "size", "batch_size")}
            photos = entry.get("photos") or entry.get("train_photos")
            what = "frozen, trained" if entry.get("frozen") else what
            device = jobs["device"].iloc[0]
            rows.append({"what": what, **keys, "photos": photos, "device": device, "mb": jobs["peak_memory_mb"].max()})
    names = ["what", "network", "size", "photos", "device", "batch_size"]
    table = pd.DataFrame(rows, columns=[*names, "mb"])
    return table.groupby(names, dropna=False, as_index=False)["mb"].max()


def weigh_memory(measured: pd.DataFrame) -> dict[str, Any]:
    """The second conclusion, on the memory of a GPU where there is one: an entry as `conclusions.weigh` gives them.

    `measured` is what `memory` returns.
    """
    gpu = measured[measured["device"] != "cpu"]
    lines = {
        names: rows.sort_values("batch_size")
        for names, rows in gpu[gpu["what"] == "training"].groupby(["network", "size", "photos"], dropna=False)
        if len(rows) > 2
    }
    said, judged, values = [], [], []
    for (network, size, _), rows in lines.items():
        batch, mb = rows["batch_size"].to_numpy(float), rows["mb"].to_numpy(float)
        slope, start = np.polyfit(batch, mb, 1)
        off = np.abs(mb - start - slope * batch).max() / max(np.ptp(mb), 1e-9)
        grows = slope * batch[-1] / mb[-1]
        judged.append("for" if slope > 0 and off <= STRAIGHT and grows > 0.5 else "against")
        said.append(
            f"{network} at {size} px takes {slope:.1f} MB a photo of the batch and {start:,.0f} MB besides (batches of "
            f"{batch[0]:.0f} to {batch[-1]:.0f}, at most {100 * off:.0f} % of the rise off the line)"
        )
        values.append(
            {"what": f"{network}, {size} px: MB a photo of the batch", "value": slope, "low": None, "high": None}
        )
    frozen, trained = (gpu.loc[chosen, "mb"] for chosen in (gpu["what"] != "training", gpu["what"] == "training"))
    if len(frozen) and len(trained):
        judged.append("for" if frozen.max() < trained.max() else "against")
        said.append(f"frozen backbones take at most {frozen.max():,.0f} MB, training at most {trained.max():,.0f} MB")
    # It says three things: one that is not so is enough.
    verdict = "cannot tell" if not lines else "against" if "against" in judged else "for"
    evidence = f"On the GPU, {'; '.join(said)}." if said else ""
    if not lines:
        evidence += (
            " It needs a network trained at three or more batch sizes on a GPU; on a processor the peak is that "
        )
        evidence += "of the whole process, photos and program included."
    return {"number": 2, "statement": MEMORY, "verdict": verdict, "evidence": evidence.strip(), "values": values}
