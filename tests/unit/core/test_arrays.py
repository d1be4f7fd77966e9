"""Arrays with their manifests: what is written is read, and nothing else."""

import json
import zlib

import numpy as np
import pytest

from manihot.core import arrays
from manihot.core.errors import StudyError

IDS = ["a.jpg", "b.jpg", "c.jpg"]


def written(path, dtype="<f4", row=(4,)):
    """An array of three rows with its manifest."""
    rows = np.arange(3 * np.prod(row)).reshape(3, *row).astype(dtype)
    path.write_bytes(arrays.header(rows.shape, dtype) + rows.tobytes())
    arrays.write_manifest(path, rows.shape, IDS, map(zlib.crc32, rows), {"view": "identity", "statuses": ["ok"] * 3})
    return rows


def read(path, dtype="<f4", row=(4,), places=(0, 1, 2)):
    manifest = arrays.read_manifest(path, ["statuses"])
    stored = arrays.open_array(path, manifest, dtype, row)
    arrays.check_rows(path, manifest, places, (stored[place] for place in places))
    return stored


@pytest.mark.parametrize(("dtype", "row"), [("<f4", (4,)), (np.uint8, (2, 2, 3))])
def test_an_array_is_numpys_and_is_read_again(tmp_path, dtype, row):
    rows = written(tmp_path / "x.npy", dtype, row)
    np.save(tmp_path / "numpy.npy", rows)
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
    stored = read(tmp_path / "x.npy", dtype, row)
    assert isinstance(stored, np.memmap) and (stored == rows).all() and stored.dtype == rows.dtype
    manifest = arrays.read_manifest(tmp_path / "x.npy")
    assert manifest["view"] == "identity" and manifest["shape"] == [3, *row] and manifest["image_ids"] == IDS
    assert arrays.manifest_path(tmp_path / "x.npy") == tmp_path / "x.json"


def told(path, **options):
    """What is said of an array that cannot be read: it names both files."""
    with pytest.raises(StudyError) as error:
        read(path, **options)
    assert str(error.value).endswith(f": delete {path} and {path.with_suffix('.json')}, and run the same command again")
    return str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "{", "[]", "{}", "\udcff", '{"checksums": [1], "image_ids": ["a"], "shape": 1}',
        '{"checksums": [1], "image_ids": ["a"], "shape": [1, 4]}',
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_noticed(tmp_path, text):
    written(tmp_path / "x.npy")
    (tmp_path / "x.json").unlink()
    if text is not None:
        (tmp_path / "x.json").write_bytes(text.encode(errors="surrogateescape"))
    assert told(tmp_path / "x.npy").startswith(f"{tmp_path / 'x.json'} is missing or damaged")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_ids", IDS[1:]), ("statuses", ["ok"] * 4), ("checksums", [1, 2]), ("checksums", [1, 2, 1 << 32]),
        ("checksums", [1, 2, None]), ("shape", []), ("shape", [4, 4]),
    ],
)  # fmt: skip
def test_a_manifest_has_an_entry_a_row(tmp_path, key, value):
    written(tmp_path / "x.npy")
    manifest = json.loads((tmp_path / "x.json").read_text())
    (tmp_path / "x.json").write_text(json.dumps(manifest | {key: value}))
    assert told(tmp_path / "x.npy").startswith(f"{tmp_path / 'x.json'} is missing or damaged")


def test_an_array_of_another_kind_is_not_opened(tmp_path):
    path = tmp_path / "x.npy"
    rows = written(path)
    missing = f"{path} is missing or damaged"
    assert told(path, dtype=">f4").startswith(missing) and told(path, row=(5,)).startswith(missing)
    for other in (rows[:2], rows.astype(np.float64), np.asfortranarray(rows)):
        np.save(path, other)
        assert told(path).startswith(missing)
    path.write_bytes(path.read_bytes()[:-1])
    assert told(path).startswith(missing)
    path.unlink()
    assert told(path).startswith(missing)


def test_only_the_rows_that_are_read_are_checked(tmp_path):
    path = tmp_path / "x.npy"
    written(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1  # in the last row
    path.write_bytes(content)
    assert told(path, places=(2, 0)).startswith(f"{path} is damaged at photo c.jpg")
    read(path, places=(1, 0))
