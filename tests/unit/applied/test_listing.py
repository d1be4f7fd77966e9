"""Every photo of a folder is listed, with the reason where it cannot be used, and none leads out of the folder."""

import os

import pytest

from manihot.applied import listing
from manihot.core import files
from manihot.core.errors import StudyError


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "new"
    (root / "sub" / ".hidden").mkdir(parents=True)
    (root / "b.JPG").write_bytes(b"12345")
    (root / "sub" / "a.png").write_bytes(b"1")
    (root / "notes.txt").write_text("x")
    (root / ".c.jpg").write_bytes(b"1")
    (root / "sub" / ".hidden" / "d.jpg").write_bytes(b"1")
    (tmp_path / "secret.jpg").write_bytes(b"1")
    return root


def test_photos_are_found_at_any_depth_and_other_files_counted(folder):
    photos, others = listing.find_photos(folder)
    assert [(photo.image_id, photo.bytes, photo.problem) for photo in photos] == [
        ("b.JPG", 5, ""),
        ("sub/a.png", 1, ""),
    ]
    assert photos[0].mtime_ns == (folder / "b.JPG").stat().st_mtime_ns
    assert others == {".txt": 1}


def test_what_cannot_be_used_is_listed_with_its_reason(folder, tmp_path):
    (folder / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "in.jpg").symlink_to(folder / "b.JPG")
    (folder / "nowhere.jpg").symlink_to(folder / "gone.jpg")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "line\nfeed.jpg").write_bytes(b"1")
    (folder / "=cmd|'x'!A1.jpg").write_bytes(b"1")
    os.mkfifo(folder / "pipe.jpg")
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(b"1")
    found = {photo.image_id: photo.problem for photo in listing.find_photos(folder)[0]}
    unsafe = "a name with a backslash, control or undecodable character: rename it"
    assert found == {
        "b.JPG": "", "sub/a.png": "", "in.jpg": "", "out.jpg": "a link out of the photo folder", "nowhere.jpg": "missing",
        "linked": "a link to a folder: move the folder here", "line<a>feed.jpg": unsafe, "<dcff>.jpg": unsafe,
        "pipe.jpg": "not a file", "./=cmd|'x'!A1.jpg": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_photos_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(StudyError, match="say with PHOTOS which folder"):
        listing.find_photos(tmp_path / name)


def test_a_new_photo_changes_the_listing_of_its_shard_alone(folder, tmp_path):
    out = tmp_path / "listing"
    listing.write_listing(out, *listing.find_photos(folder), shards=4)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert set(before) == {"0.csv", "1.csv", "2.csv", "3.csv", "others.json"}
    (folder / "new.jpg").write_bytes(b"1")
    listing.write_listing(out, *listing.find_photos(folder), shards=4)
    changed = [name for name, time in before.items() if (out / name).stat().st_mtime_ns != time]
    assert len(changed) == 1
    rows = [row["image_id"] for shard in range(4) for row in files.read_rows(out / f"{shard}.csv")]
    assert sorted(rows) == ["b.JPG", "new.jpg", "sub/a.png"]
