"""Tables of photos as they are read."""

from photo_tables import write

from manihot import parts


def test_labels_and_ids_are_text_and_missing_folds_are_missing(tmp_path):
    write(tmp_path)
    split = parts.read_photos(tmp_path / "split.csv")
    assert split["label"].tolist()[:2] == ["007", "NA"]
    assert split["image_id"].iloc[3] == "NA"
    assert split["fold"].isna().tolist() == [False] * 6 + [True] * 2
