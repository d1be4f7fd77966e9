"""The page of answers to new photos in a real browser: one that is made up, or the one that MANIHOT_ANSWERS names."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_browser import NEEDED, WIDTHS, browsing, everything_is_inside, fits, picture, show

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

pytestmark = NEEDED
PHOTOS = 60


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("MANIHOT_ANSWERS"):
        return Path(given).resolve()
    import answers_page

    return answers_page.with_leaves(tmp_path_factory.mktemp("answers"), PHOTOS)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def cells(browser: Any, table: str, column: int) -> list[str]:
    """The texts of a table's column, of the rows that are shown."""
    script = """
        const rows = [...document.querySelectorAll(`#table-${arguments[0]} tbody tr`)].filter((row) => !row.hidden);
        return rows.map((row) => row.cells[arguments[1]].textContent);
    """
    return list(browser.execute_script(script, table, column))


def sort(browser: Any, table: str, column: int) -> None:
    """Click on a heading."""
    script = "document.querySelectorAll(`#table-${arguments[0]} thead th button`)[arguments[1]].click()"
    browser.execute_script(script, table, column)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_a_message_and_fits(browser: Any, page: Path, width: int, scheme: str, tmp_path: Path) -> None:
    show(browser, page, width, scheme)
    assert browser.get_log("browser") == []
    assert fits(browser) and everything_is_inside(browser)
    sections = browser.execute_script("return [...document.querySelectorAll('main > section')].map((one) => one.id)")
    for section in sections:
        browser.execute_script("document.getElementById(arguments[0]).scrollIntoView({behavior: 'instant'})", section)
        picture(browser, f"answers-{width}-{scheme}-{section}", tmp_path)
    assert sections == ["summary", "first", "each", "groups", "answers", "problems"]


def test_every_thumbnail_is_a_picture(browser: Any, page: Path) -> None:
    show(browser, page, WIDTHS[0])
    widths = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(widths) > 12 and all(widths)


def test_the_counts_of_the_classes_are_those_of_the_answers(browser: Any, page: Path) -> None:
    show(browser, page, WIDTHS[0])
    answers = cells(browser, "answers", 1)
    counts = zip(cells(browser, "classes", 0), map(int, cells(browser, "classes", 1)), strict=True)
    assert list(counts) == [(name, answers.count(name)) for name in ("9 Rust", "10 Healthy")]


def test_the_photos_that_want_a_human_come_first(browser: Any, page: Path) -> None:
    show(browser, page, WIDTHS[0])
    reasons = [bool(text) for text in cells(browser, "answers", 5)]
    assert any(reasons) and reasons == sorted(reasons, reverse=True)
    script = "return [...document.querySelectorAll('#first figure .file')].map((one) => one.textContent)"
    shown = browser.execute_script(script)
    assert shown == cells(browser, "answers", 0)[: len(shown)] and sum(reasons) <= len(shown) < PHOTOS // 2
    # Those of another kind before the unsure, and among the rest the unsure before the sure.
    none = ["none of these" in text for text in cells(browser, "answers", 5)]
    assert any(none) and none == sorted(none, reverse=True)
    sure = [float(text) for text in cells(browser, "answers", 2)][sum(reasons) :]
    assert sure == sorted(sure)


def test_a_heading_sorts_numbers_as_numbers_and_plants_as_text(browser: Any, page: Path) -> None:
    show(browser, page, WIDTHS[0])
    sort(browser, "answers", 4)
    falling = [float(text) for text in cells(browser, "answers", 4)]
    assert falling == sorted(falling, reverse=True) and falling[0] == 100
    sort(browser, "answers", 4)
    assert [float(text) for text in cells(browser, "answers", 4)] == sorted(falling)
    sort(browser, "groups", 0)
    plants = cells(browser, "groups", 0)
    assert plants == sorted(plants) and len(plants) == PHOTOS // 4


def test_the_filter_joins_words_class_and_who_wants_a_look(browser: Any, page: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    show(browser, page, WIDTHS[0])
    Select(browser.find_element(By.ID, "class")).select_by_visible_text("10 Healthy")
    assert set(cells(browser, "answers", 1)) == {"10 Healthy"}
    browser.find_element(By.ID, "look").click()
    reasons = cells(browser, "answers", 5)
    assert reasons and all(reasons)
    browser.find_element(By.ID, "filter").send_keys("CLASSES possible")
    left = cells(browser, "answers", 5)
    assert left and all("classes possible" in text for text in left) and len(left) <= len(reasons)
    assert browser.find_element(By.ID, "matches").text == f"{len(left)} row{'s' * (len(left) > 1)}"
    browser.find_element(By.ID, "filter").send_keys(" nowhere")
    assert cells(browser, "answers", 0) == [] and browser.find_element(By.ID, "matches").text == "no rows"
