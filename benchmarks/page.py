"""docs/performance.md from the measured files in benchmarks/results/."""

from collections.abc import Mapping
from typing import Any

import estimate
from measuring import ROOT

from manihot.core import files

RESULTS = ROOT / "benchmarks/results"
WHAT = {
    "pixels_exact": "decode and resize to 224 px, per core, to one grey level of the study's pixels",
    "pixels_fast": "the same, decoded at half size",
    "pixels_two_cores": "two processes against one",
    "feeding_224": "batches of 96 at 224 px, ready as float32",
    "step_64": "training step of `small_cnn`, batch 32, 64 px",
    "step_96": "the same, 96 px",
    "step_224": "the same, 224 px",
    "fold_96": "a fold (800 + 200 photos, 96 px, 10 epochs) as a process, pixels in the cache",
    "fold_96/with_pixels": "the same, the pixels cached first",
    "backbone_forward/efficientnet_b0": "forward pass at 224 px, against float32 inference mode",
    "backbone_forward/resnet18": "the same",
    "heads": "a head of resnet18, 600 photos, 10 epochs, pixels in the cache",
    "boosting": "the nine XGBoost settings with a fifth of their trees, features stored",
    "finetune/timm/tf_efficientnet_lite0": "fine-tuning step (`recipe: finetune`), batch 32, 224 px, against AdamW and "
    "PyTorch's defaults",
    "finetune/mobilenet_v2": "the same",
    "finetune/resnet18": "the same",
    "from_cut/timm/tf_efficientnet_lite0": "a photo and epoch from the cut `blocks.5` on (activations stored), against "
    "our fine-tuning of the whole network",
    "tuned_head": "a tuned head, 1,200 photos, 1,280 drawn features, against scikit-learn's `LogisticRegressionCV` "
    "on the same values of C and inner folds",
    "trees": "boosted trees as `boosting` sets them now, on these features, against a plain 100 rounds of all of them",
    "predict": "new photos of 224 to 400 px from their files, five heads on a frozen EfficientNet-Lite0 with sets and "
    "`unlike`, against its pixels and its forward pass alone",
    "predict/job": "the same as a job of `make predict`, its start included",
    "predict/memory": "peak of such a job, 20,000 photos",
    "job_start": "what a job takes before its first photo: Python, torch and the package",
    "dry_run": "dry run of `config/cassava.yaml`, 21,397 photos",
    "nothing_to_do": "a finished study of the same jobs, run again",
    "report": "report of the published study's models on 21,397 photos, from its tables",
    "report/size": "its size",
    "memory/training": "peak besides mapped files, `small_cnn` on 21,397 photos of 224 px",
    "memory/features": "the same, features of `efficientnet_b0`",
    "study": "`benchmarks/study.yaml` from photos to report",
}
HEAD = """\
# How fast it is

`make bench` measures the study's own way (one photo at a time with Pillow, every epoch anew, PyTorch's defaults in
float32, backbones run every epoch: `benchmarks/theirs.py`) against this project's, on the same photos and machine, in
turns. Before it measures, it checks that both give the same pixels, the same loss curve and the same features. A ratio
is the median of the pairs, with their range; the share is of what the machine would allow (a large matrix product in
the precision taken, a copy of memory, the bare decoder, an empty workflow, a forward pass), measured in the same run.
`benchmarks/page.py` writes this page; its tables come from `benchmarks/results/`.
"""
PROFILED = """\
## Profiled, and what came of it

Where no other machine is named: two cores of a Xeon whose AMX instructions the virtual machine hides, torch 2.14.1. A
figure here is of the code as it was when the change was made, read from that run's output; the tables above have no
row of it.

- **Batches.** Of 20.7 ms for 96 photos at 224 px the gather took 1.1, the cast to float32 4.0, and scale and shift
  15.6: three values at a time, a loop of three a pixel. Scale and shift of a whole row of pixels should leave little
  more than the passes over memory, some 7 ms: 7.4 were measured.
- **bf16.** This processor has the instructions and is slow in them: a large product at 165 GFLOP/s, 330 in float32;
  `small_cnn` at 64 / 96 / 224 px trained 153 / 69 / 12.6 photos/s in bf16 and 218 / 93 / 12.9 in float32. `precision:
  auto` takes float32 there now.
- **Frozen backbones in float32.** A batch norm fused into its convolution saves a pass over memory: efficientnet_b0
  110 to 136 photos/s, mobilenet_v2 157 to 224, resnet18 78 to 82. Its features are as near to float64's as those of
  the plain network (8.6e-7 of the largest, mobilenet_v2 with its published weights), so both precisions are fused.
- **timm's frozen networks.** PyTorch could not trace them and fused nothing: of a forward pass of
  tf_efficientnet_lite0 28 % was batch norm. They are fused now by the order in which they run, and tried before they
  are taken (`networks/fused.py`): on one thread of a busy AMD EPYC, float32, six turns of 32 photos in processor time,
  20 to 25 photos/s became 28 to 35, a median of 1.47 times.
- **A dry run.** 591 jobs: a second is Python and the engine starting, 0.25 s the digests of the code, 0.3 s the listing
  of photos, and the rest the engine's graph, whose objects the garbage collector looked through again and again:
  collecting rarely took 4.1 to 3.4 s and 7 MB more.
- **A training step at 224 px in float32.** Convolutions took 57 %, batch norm 30 % (bound by memory), filling
  gradients with zeros 6 %, pooling 4 %: the convolutions run at 80 % of the matrix product. Batch norm keeps the order
  in a channel, so pooling can come before it (`src/manihot/networks/blocks.py`): of batch norm's nine passes over the
  full maps two for its sums and two for its gradient are left, written over its input, and the zeros go. It should
  give 1.28 times. Measured: in turns in one process 229 to 253 photos/s at 64 px, 102 to 113 at 96, and 13.4 to 19.3
  at 224, a process each. The rows above say less of it: the study's own way varies more on this shared machine (224
  px: 4.8, 6.1 and 6.9 photos/s at three times), and two runs within one hour had ratios of 2.35, 2.00, 3.11 and 1.83,
  2.13, 2.29. In bf16 (on this processor) as fast as before. Memory besides mapped files at 224 px fell from 4.6 GB to
  between 2.0 and 2.6 (in bf16 1.4), by chance: what outlives a step, such as gradients, splits what the next one's
  maps need whole. Nothing does now: 2.0 to 2.2 GB in four runs.
- **The gradient at the maxima.** On two cores of the AMD EPYC (bf16) scattering it into the line took 90 of 740 ms of
  a step at 224 px, and PyTorch's own layers were faster as a whole: 48 photos/s against 53, at 1.4 GB against 2.6.
  Spread over a map of zeros by pooling's own gradient and added, in the caches: 50 photos/s, 266 in place of 250 at
  96 px, 556 in place of 532 at 64; in float32 no difference. PyTorch's layers were then 6 to 8 % faster there, and
  are not taken for their memory. Without the allocator's setting they were a fifth slower than the block: they touch
  more pages.
- **The convolution's bias.** Batch norm takes it away again: added before it and its gradient summed, it costs a pass
  over the full maps each way, for rounding. It shows in the running mean alone now. On two cores of the AMD EPYC in
  float32 322 and 330 photos/s became 353 and 358 at 64 px, 149 and 151 became 168 and 165 at 96, 27.2 and 27.8 became
  30.8 and 30.5 at 224 (a process each, two runs); in bf16 no difference.
- **Rounded gradients.** In bf16 batch norm's gradient, a line of the maps, is off by the rounding of its start: a shift
  of a whole channel, which the weights' gradient feels. Maps were centred for that, a pass over them. The shift is
  known, and the maxima take it back: errors of the weights' gradient 0 to 5 % above those of PyTorch's layers (centred,
  0 to 7 %; with neither, up to 2.8 times), and 595 in place of 564 photos/s at 64 px, 280 in place of 267 at 96, 51.8
  in place of 50.5 at 224 (two cores of the AMD EPYC, a process each, two runs).
- **Places of the maxima.** PyTorch keeps them as 64-bit integers, half as many bytes as the maps: a few photos are
  pooled at a time and pooled again for the gradient. 8 to 64 MB of maps at a time, or all: no difference in speed.
- **100,000 photos in gigabytes.** Some jobs of `benchmarks/growth.py` grew by a batch of photos a step from some step
  on, up to 5.2 GB: each batch's logits, a kilobyte, stayed until all were joined, and where one came to lie in the room
  of the freed photos, the next photos went to the top of the heap. Outputs are laid in one tensor now: eight such jobs
  took 1.2 to 1.9 GB, where 1.3 to 3.7 were measured before.
- **A photo of the cache.** Decoding 2.06 ms, resizing 0.47, SHA-256 0.09, Pillow's look at the header 0.03, reading
  0.02 (decoded at half size: 1.73 and 0.21): only another decoder would give more.
"""
TRIED = """\
## Tried and left out

Figures here too are of the code as it was, or of a prototype that was not kept, read from that run's output.

- **Pooled maps and sums of PyTorch's own gradient.** In a prototype, batch norm's own gradient in place of ours, from
  maxima spread over a full map: 17.1 photos/s in place of 19.3 at 224 px, and 4.8 GB in place of 2.6.
- **A tamer allocator.** One arena, or paddings of 16 or 64 MB in place of 256: peaks of 2,714 to 3,267 MB, no clear
  gain. The setting buys its speed with some 400 MB; `GLIBC_TUNABLES=` in the environment takes it back. On the Xeon,
  before the blocks above, ten steps at 224 px took 30 s and 2.7 to 2.9 GB with it, 38 s and 2.3 GB without, 38 s and
  2.3 GB with huge pages alone; 0.4 GB of each is torch and torchvision before the first photo. Optimizer sums laid out
  before the first step, so that they do not split what the activations leave free: no gain.
- **Where Pillow's time goes.** The table gives each way a process of its own, where the system's allocator soon keeps
  Pillow's buffers. In one process, in turns with the cache, they are mapped anew for each photo: Pillow 212 photos/s a
  core, exact 566, fast 725, and ratios of 2.66 and 3.50, well above those of the AMD machine's table
  (`process_time`, 7 rounds). The exact way spends there 1.39 ms on decoding, 0.26 on resizing, 0.07 on SHA-256, 0.04 on
  Pillow's look at the header and 0.03 on reading: with nothing but the decoder the ratio would be 2.3.
- **The decoder alone.** simplejpeg decodes to the same bytes as torchvision's decoder, a little faster; it serves both
  kinds of decode.
- **Boosting in one call.** Saved from a callback of XGBoost's in place of a call for every 25 rounds: no faster (0.95
  to 0.99 of the study's way), and longer. The fits alone take 4.7 of 5.0 s.
- **bf16 features for every backbone.** MobileNetV2's fall below a cosine of 0.9999 to float32: `precision: auto` tries
  eight photos of random noise and takes float32 where it must.
"""
ESTIMATE = """\
### How long the published study takes there

`benchmarks/estimate.py`: `config/cassava.yaml`, 21,397 photos, from the rates above and from how much each stage has to
do; not a run. In bold, the stage that holds it up.

"""
GPU = """\
`benchmarks/gpu.py`: absolute figures; the share is of a large bf16 matrix product on the same device, the host's share
the part of the time for which the loop was busy giving out work.

| key | value | unit | share of the limit | host's share | first epoch, s | timm, or the plain way | ours to theirs |
|---|---|---|---|---|---|---|---|
"""
LEARNING = """\
## Whether bf16 learns as well

`benchmarks/learning.py`: `small_cnn` on {photos} photos of the sample, {per_class} a class ({size} px, {epochs} epochs,
{folds} folds) with {seeds} seeds, each in bf16, in float32, and in bf16 with PyTorch's layers in place of our blocks;
out-of-fold predictions of the same photos, paired by seed, the 95 % interval over photos and seeds. p is of a
permutation test over photos, which takes the seeds as given: where it is small and the interval holds zero, these runs
differ, and others might not.

| | | of the first | of the second | difference | p |
|---|---|---|---|---|---|
"""
GROWTH = """\
## Growth

`benchmarks/growth.py`: synthetic photos of 64 x 48 pixels through a study of two experiments (32 px, two folds, one
epoch, two tests of a tenth of the photos) on {cores} cores. Seconds of a stage are those of its jobs added up; the last
column is the whole, up to the report. The highest peak is a training or predicting job's.

| photos | shards | catalog | duplicates | pixels | splits | scores | report | peak memory | nothing to do | wall |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def line(row: Mapping[str, Any]) -> str:
    """A measured row as a line of the table."""
    ratio, theirs, share = "", "", ""
    if row["ratio"] is not None:
        theirs = f"{row['theirs']:.4g}"
        ratio = f"**{row['ratio']:.2f}** ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
    if row["limit_share"] is not None:
        share = f"{row['limit_share']:.0%}"
    cells = [f"`{row['key']}`", WHAT[row["key"]], theirs, f"{row['ours']:.4g}", row["unit"], ratio, row["pairs"], share]
    return f"| {' | '.join(map(str, cells))} |"


def write() -> None:
    """Write the page."""
    text, measured = [HEAD], {}
    for path in sorted(RESULTS.glob("*-cores.json")):
        record = files.read_json(path)
        rows = sorted(record["rows"], key=lambda row: list(WHAT).index(row["key"]))
        made = f"Commit {record['commit'][:10]}, torch {record['torch']}, {record['precision']}."
        text.append(f"## {record['machine']}\n\n{made}\n")
        head = ["key", "what", "theirs", "ours", "unit", "ratio (range)", "pairs", "share of the limit"]
        text.append("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(line, rows)]) + "\n")
        if missing := [f"`{key}`" for key in WHAT if key not in {row["key"] for row in rows}]:
            text.append(f"Not measured here yet: {', '.join(missing)}.\n")
        known = {row["key"]: row for row in rows}
        if set(known) >= estimate.NEEDS:
            cores = int(record["machine"].split("-")[-2])
            text += [ESTIMATE + estimate.table(estimate.estimated(known, cores)) + "\n"]
            if "study" in known:
                text.append(estimate.beside_a_run(known, cores) + "\n")
            measured[record["machine"]] = known
    for record in map(files.read_json, sorted(RESULTS.glob("*.json"))):
        if "device" in record:
            made = f"Commit {record['commit'][:10]}, torch {record['torch']}."
            text += [f"## {record['device']}\n\n{made}\n\n{GPU}" + "\n".join(map(_gpu, record["rows"])) + "\n"]
            for machine, rows in measured.items():
                both = rows | {row["key"]: row for row in record["rows"]}
                beside = f"What is a processor's, such as boosting, at the rates of two cores of {machine}.\n"
                text += [ESTIMATE + beside, estimate.table(estimate.estimated(both, 2)) + "\n"]
    if (RESULTS / "learning.json").exists():
        record = files.read_json(RESULTS / "learning.json")
        lines = [
            f"| {pair['way']} against {pair['against']} | {name.replace('_', ' ')} "
            f"| {m['model_value']:.4f} | {m['based_on_value']:.4f} "
            f"| {m['difference']:+.4f} ({m['low']:+.4f} to {m['high']:+.4f}) | {m['p']:.4f} |"
            for pair in record["compared"]
            for name, m in pair["metrics"].items()
        ]
        text.append(LEARNING.format(**record) + "\n".join(lines) + "\n")
    if (RESULTS / "growth.json").exists():
        record = files.read_json(RESULTS / "growth.json")
        text.append(GROWTH.format(**record) + "\n".join(map(_growth, record["rows"])) + "\n")
    text += [PROFILED, TRIED]
    (ROOT / "docs/performance.md").write_text("\n".join(text), encoding="utf-8")


def _gpu(row: Mapping[str, Any]) -> str:
    share = f"{row['limit_share']:.0%}" if "limit_share" in row else ""
    beside = row | ({"timm": row["plain"]} if "plain" in row else {})
    others = [f"{beside[key]:.3g}" if key in beside else "" for key in ("host_share", "first_epoch_s", "timm", "ratio")]
    cells = [f"`{row['key']}`", f"{row['value']:.4g}", row["unit"], share, *others]
    return f"| {' | '.join(cells)} |"


def _growth(row: Mapping[str, float]) -> str:
    n = row["photos"]
    shown = ("catalog_shard", "build_catalog", "cache_pixels", "splits", "scores", "report")
    memory = max(value for key, value in row.items() if key.endswith("_mb"))
    wall = row["wall"] + row["wall_report"]
    stages = [f"{row[stage]:.1f} s" for stage in shown]
    cells = [f"{n:,}", row["shards"], *stages, f"{memory:,.0f} MB", f"{row['listing']:.1f} s", f"{wall:.0f} s"]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    write()
