"""The report in a real browser, offline: the one that MANIHOT_REPORT names, else one that is made up."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_browser import NEEDED, WIDTHS, browsing, everything_is_inside, fits, picture, show

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

pytestmark = NEEDED


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("MANIHOT_REPORT"):
        return Path(given).resolve()
    import synthetic_results

    from manihot.report import page, provenance

    folder = tmp_path_factory.mktemp("browser")
    settings = synthetic_results.build(folder / "results")
    versions = provenance.versions()
    page.build(folder / "results", folder / "report.html", settings, made="now", commit="none", versions=versions)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def brightness(browser: Any) -> float:
    """Mean of the page's background channels, 0 to 255."""
    color = browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    return sum(float(value) for value in color[color.index("(") + 1 : -1].split(",")[:3]) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_an_error_and_fits(
    browser: Any, report: Path, width: int, scheme: str, tmp_path: Path
) -> None:
    show(browser, report, width, scheme)
    browser.execute_script("document.getElementById('unfold').click()")
    assert browser.get_log("browser") == []
    assert fits(browser)
    picture(browser, f"report-{width}-{scheme}", tmp_path)


def test_it_loads_nothing_but_itself(browser: Any, report: Path) -> None:
    show(browser, report, WIDTHS[0])
    assert everything_is_inside(browser)


def test_every_picture_can_be_shown(browser: Any, report: Path) -> None:
    show(browser, report, WIDTHS[0])
    browser.execute_script("document.querySelectorAll('details').forEach((entry) => entry.setAttribute('open', ''))")
    widths = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert all(widths)


def test_a_heading_sorts_its_table_both_ways(browser: Any, report: Path) -> None:
    show(browser, report, WIDTHS[0])
    column = """
        const heading = [...document.querySelectorAll('#table-models thead tr:last-child th.number')][2];
        if (arguments[0]) heading.querySelector('button').click();
        const rows = [...document.querySelectorAll('#table-models tbody tr')];
        const cells = rows.map((row) => row.cells[heading.cellIndex]);
        const values = cells.map((cell) => cell.dataset.sort).filter((value) => value !== undefined);
        return [heading.getAttribute('aria-sort'), values.map(Number)];
    """
    state, before = browser.execute_script(column, False)
    assert state == "none" and len(before) > 1
    state, falling = browser.execute_script(column, True)
    assert state == "descending" and falling == sorted(before, reverse=True)
    state, rising = browser.execute_script(column, True)
    assert state == "ascending" and rising == sorted(before)


def test_a_heading_sorts_by_the_keyboard(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.by import By

    show(browser, report, WIDTHS[0])
    heading = browser.find_element(By.CSS_SELECTOR, "#table-models thead tr:last-child th")
    heading.find_element(By.TAG_NAME, "button").send_keys(" ")
    names = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#table-models tbody td:first-child a")]
    assert heading.get_attribute("aria-sort") == "ascending" and names == sorted(names)


def test_the_filter_keeps_what_matches(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.by import By

    show(browser, report, WIDTHS[0])
    name = browser.find_element(By.CSS_SELECTOR, "#table-models tbody a").text
    browser.find_element(By.ID, "filter").send_keys(name)
    rows = browser.find_elements(By.CSS_SELECTOR, "#table-models tbody tr")
    shown = [row.text for row in rows if row.is_displayed()]
    assert shown and all(name in text for text in shown) and len(shown) < len(rows)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_turns_the_colours_round(browser: Any, report: Path, scheme: str) -> None:
    show(browser, report, WIDTHS[0], scheme)
    before = brightness(browser)
    assert before > 200 if scheme == "light" else before < 60
    browser.execute_script("document.getElementById('theme').click()")
    after = brightness(browser)
    assert after < 60 if scheme == "light" else after > 200


def test_a_link_to_a_model_opens_it(browser: Any, report: Path) -> None:
    show(browser, report, WIDTHS[0])
    browser.execute_script("document.querySelectorAll('details').forEach((entry) => entry.removeAttribute('open'))")
    opened = """
        document.querySelector('#table-models tbody a').click();
        const done = arguments[0];
        setTimeout(() => done(document.querySelectorAll('details.model[open]').length), 200);
    """
    assert browser.execute_async_script(opened) == 1
