"""Take the pictures of docs/demo.md and the README from the demo's report: python docs/take_pictures.py REPORT.

Or that of a model's page with photos that it answers: python docs/take_pictures.py APP PHOTO [PHOTO ...].

Needs Chromium and its driver, as the browser tests do, and `make .venv/dev`.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).parent
WIDTH, TALLEST = 1100, 900
SCROLL = "arguments[0].scrollIntoView({behavior: 'instant'}); return arguments[0].clientHeight"
# Sections of the page, by their ids; the README shows the first screen.
SECTIONS = (
    "summary", "data", "set-aside", "splits", "cheat", "models", "comparisons", "augmentation", "each", "overfit",
    "backbones", "boosting", "new-class", "costs", "repeat",
)  # fmt: skip


def browser() -> webdriver.Chrome:
    """A browser without a window, whose page is WIDTH pixels wide."""
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={WIDTH},{TALLEST}",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def save(page: webdriver.Chrome, path: Path, height: float = TALLEST) -> None:
    """Write what the window shows, down to `height`, with as few colours as show no difference."""
    picture = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, round(height))))
    path.parent.mkdir(exist_ok=True)
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def main(report: Path) -> None:
    """Write docs/report.png and docs/demo/{section}.png."""
    page = browser()
    try:
        page.get(report.resolve().as_uri())
        save(page, HERE / "report.png")
        for name in SECTIONS:
            section = page.find_element(By.ID, name)
            height = page.execute_script(SCROLL, section)
            save(page, HERE / "demo" / f"{name}.png", height)
    finally:
        page.quit()


def phone(app: Path, photos: list[Path]) -> None:
    """Write docs/app.png: the page of a model on a narrow screen."""
    page = browser()
    try:
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        page.get(app.resolve().as_uri())
        wait = WebDriverWait(page, 120)
        wait.until(lambda _: page.find_element(By.ID, "choose").is_enabled())
        page.find_element(By.ID, "choose").send_keys("\n".join(str(photo.resolve()) for photo in photos))
        wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "[data-told]")) == len(photos))
        save(page, HERE / "app.png")
    finally:
        page.quit()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        phone(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
    else:
        main(Path(sys.argv[1]))
