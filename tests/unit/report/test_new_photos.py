"""The page of answers to new photos: it holds all it shows, escapes what photos are called, and says what it leaves out."""

import re

import answers_page
import pandas as pd
import pytest
from PIL import Image

from manihot.report import new_photos

HOSTILE = "<script>alert(1)</script>.jpg"


@pytest.fixture
def page(tmp_path):
    """Builds the page of answers to so many photos."""
    (tmp_path / "photos" / "<script>alert(1)<").mkdir(parents=True)
    Image.new("RGB", (400, 300), "green").save(tmp_path / "photos" / HOSTILE)
    Image.new("RGB", (400, 300), "red").save(tmp_path / "photos" / "0.jpg")

    def build(count, pattern=None, **columns):
        names = [HOSTILE, *(f"{number}.jpg" for number in range(count - 1))]
        first = [0.9 if number % 3 else 0.4 for number in range(count)]
        answers = ["9" if p > 0.5 else "10" for p in first]
        table = pd.DataFrame({"image_id": names, "answer": answers, "probability": [max(p, 1 - p) for p in first]})
        table = table.assign(p0=first, p1=[1 - p for p in first], **columns)
        bad = pd.DataFrame({"image_id": ["<b>.jpg"], "problem": ["empty file"]})
        return answers_page.build(tmp_path, table, bad, pattern).read_text()

    return build


def test_the_page_shows_each_photo_and_nothing_runs_or_is_fetched(page):
    html = page(4, set=["9", "9;10", "10", "9"], unlike=[5.0, 20.0, 100.0, 1.0])
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html and "<b>.jpg" not in html
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert html.count('<img src="data:image/webp') >= 2 and "cannot be opened" in html
    assert "4 of 5 photos have an answer" in html and "1 could not be used" in html and "1 .txt" in html
    assert "none of these" in html and "2 classes possible" in html and "9 Rust" in html
    rows = re.findall(r"<tr( class=\"look\")?><td>([^<]*\.jpg)", html)
    # Those to look at first come first, the strangest before the others.
    assert [(bool(look), name) for look, name in rows][:2] == [(True, "1.jpg"), (True, "0.jpg")]


def test_the_page_of_many_photos_stays_small_and_says_what_it_leaves_out(page, monkeypatch):
    monkeypatch.setattr(new_photos, "MOST_ROWS", 50)
    html = page(400, r"^(\d)")
    assert "350 more are not shown" in html and html.count("<figure") <= 60 + 2 * 6
    assert "Photos that agree" in html and "This model has nothing to tell photos of another kind by" in html
    monkeypatch.setattr(new_photos, "MOST_GROUPS", 3)
    assert "6 more plants are not shown" in page(400, r"^(\d)\.") or "7 more plants" in page(400, r"^(\d)\.")
