"""Pages in a real browser, offline."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = (1400, 390)


@contextmanager
def browsing(profile: Path) -> Iterator[Any]:
    """A browser with its profile in a folder."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(browser: Any, page: Path, width: int, scheme: str = "light") -> None:
    """Load a page anew at a width, in a colour scheme of the system."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    media = {"features": [{"name": name, "value": value} for name, value in features.items()]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())
    browser.execute_script("localStorage.clear()")
    browser.get(page.as_uri())


def fits(browser: Any) -> bool:
    """Whether nothing has to be scrolled sideways."""
    whole, shown = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    return whole <= shown


def picture(browser: Any, name: str, otherwise: Path) -> None:
    """Keep what the browser shows as a picture in the folder MANIHOT_SCREENSHOTS, or `otherwise`."""
    folder = Path(os.environ.get("MANIHOT_SCREENSHOTS", otherwise))
    folder.mkdir(parents=True, exist_ok=True)
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    (folder / f"{name}.png").write_bytes(base64.b64decode(taken))


def everything_is_inside(browser: Any) -> bool:
    """Whether the page loads nothing but itself."""
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    outside = "return [...document.querySelectorAll('[src], link[href]')].map((e) => e.src || e.href)"
    addresses = {address.split(":")[0] for address in browser.execute_script(outside)}
    return all(name.startswith("data:") for name in loaded) and addresses <= {"data"}
