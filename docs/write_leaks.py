"""Write docs/leaks.md from benchmarks/results/duplicates.json and growth.json: python docs/write_leaks.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manihot.core import files

ROOT = Path(__file__).parents[1]
HEAD = """\
# Copies among the photos

A copy of a test photo among the training photos makes a test too easy. Tools for augmentation write such copies, and
many public sets hold them. The catalog looks for them before any split is drawn, and copies stay on one side of
every split. `results/catalog/{data set}/duplicates.csv` lists the pairs, `duplicates.json` counts them, and the report
shows them.

## What is found

| kind | what it is |
|---|---|
| `exact` | the same bytes |
| `near` | encoded again, resized, recoloured, given noise, a stamp or a frame, or cut by a few per cent |
| `mirrored` | a mirror image, perhaps turned as well |
| `turned` | turned by 3 degrees or more |
| `cropped` | one shows a part of the other: a crop, a zoom, a border around it |

`angle` says by how many degrees, clockwise, and `scale` how many times as large the second photo of a pair shows what
the first one shows, both with long sides of one length.

## How

1. **A fingerprint a photo**, 1,792 bytes, made when the photo is checked: a thumbnail of 32 x 32 pixels, and the codes
   and places of at most 64 local features (SIFT). A code is 64 bits; a mirror changes known bits of it.
2. **Candidates.** Features whose codes agree in 28 chosen bits meet, in 16 tables; so do thumbnails, in the eight
   views of a square. Where two photos meet more than once, their features must agree on one turn, scale and shift.
   No step compares all photos with all.
3. **A look at both photos.** One is laid on the other. Then nearly every place that shows something must show the
   same, and lie where it should to a fraction of a pixel. Two photos of one leaf agree nearly everywhere too, but no
   single map takes all of it along: they are not copies. Put such photos into one group yourself.

A photo that looks like very many others, as scans on one background do, is compared with the most alike of them only.
The report and `duplicates.json` then say of how many photos that is true.

"""
MADE = """\
## How much of it is found

`benchmarks/duplicates.py` makes copies of at most {copies} photos of the cassava sample, a kind of change at a time,
and looks for them among all 1,500. {machine}

| change | found | share | made up | named |
|---|---|---|---|---|
"""
SETS = """
## What is made up

The same search in photos as they are. Each pair that was found was looked at.

| photos | number | pairs compared | pairs found | what they are |
|---|---|---|---|---|
"""
JUDGED = {
    "cassava": "",
    "species": "one photo under two names, the same to the pixel",
    "corn": "",
    "one scene, drawn": "",
}
GROWTH = """
## What it costs

A fingerprint took {ms} ms a photo on one core, beside the decoding. A pair of candidates takes some 10 to 40 ms: both
photos are opened. Candidates of made-up fingerprints (`benchmarks/growth.py --only-search`), of which one in 20 is a
copy of another; two cores of an AMD EPYC that other work shared, one of them used:

| photos | which | features | thumbnails | peak memory | pairs to look at | copies among them | in a crowd |
|---|---|---|---|---|---|---|---|
"""
TAIL = """
## What is not found

- A copy that shows less than a tenth of the other photo, or that was squeezed to less than 5/8 of a side.
- A copy with other things over more than a tenth of it: large letters, large boxes.
- A mixture of two photos, a negative, a change of perspective.
- Strong noise in small photos (256 pixels and less).
- Photos without detail are compared by their thumbnails alone.

Two photos of one fixed scene in which less than about a tenth differs count as copies.

The tables are of several runs: kinds with 300 copies, kinds with 60, and the row of a million photos. Between them
changed the memory that the search takes, and one filter of candidates.

The limits were set while looking at these same photos: on others, the shares may be lower. Where a split has a new
class of another data set, copies between the two data sets are looked for as well, and those of the other set are not
used.
"""


def named(row: Mapping[str, Any]) -> str:
    """The kinds under which copies were found."""
    return ", ".join(f"{count} {kind}" for kind, count in row["kinds"].items() if count)


def write() -> None:
    """Write the page."""
    results = ROOT / "benchmarks" / "results"
    measured, growth = files.read_json(results / "duplicates.json"), files.read_json(results / "growth.json")
    machine = "One core of an AMD EPYC that other work shared."
    text = [HEAD, MADE.format(copies=max(row["copies"] for row in measured["rows"]), machine=machine)]
    for group in dict.fromkeys(row["group"] for row in measured["rows"]):
        rows = [row for row in measured["rows"] if row["group"] == group]
        found, made = sum(row["found"] for row in rows), sum(row["copies"] for row in rows)
        text.append(
            f"| **{group}** | **{found} of {made}** | **{found / made:.3f}** | {sum(r['false'] for r in rows)} | |\n"
        )
        for row in rows:
            share = row["found"] / row["copies"]
            cells = (row["kind"], f"{row['found']} of {row['copies']}", f"{share:.3f}", row["false"], named(row))
            text.append(f"| {' | '.join(map(str, cells))} |\n")
    text.append(SETS)
    for name, one in measured["sets"].items():
        cells = (name, f"{one['photos']:,}", f"{one['compared']:,}", len(one["pairs"]), JUDGED[name])
        text.append(f"| {' | '.join(map(str, cells))} |\n")
    text.append(GROWTH.format(ms=f"{measured['fingerprint_ms']:.1f}"))
    for row in growth.get("search", []):
        cells = (
            f"{row['photos']:,}", "one background" if row["alike"] else "different", f"{row['features_s']} s",
            f"{row['thumbnails_s']} s", f"{row['peak_mb']:,} MB", f"{row['candidates']:,}",
            f"{row['copies_found']:.1%}", f"{row['crowded']:,}",
        )  # fmt: skip
        text.append(f"| {' | '.join(cells)} |\n")
    (ROOT / "docs" / "leaks.md").write_text("".join([*text, TAIL]))


if __name__ == "__main__":
    write()
