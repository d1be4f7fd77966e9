"""The page of an exported model in a real browser: from the disk and from a web server, on photos as people have them."""

import functools
import http.server
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm, which fetches the page's runtime, is not installed"),
]
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--lang=en",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# How far probabilities may lie from predict.py's, and how near the two best classes are that may change places.
CLOSE, TIE = 0.01, 0.02
REFUSED = {"empty.jpg": "why_empty", "cmyk.jpg": "why_cmyk", "text.jpg": "why_decode", "dot.png": "why_small"}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of an export with its page."""
    pytest.importorskip("onnxscript", reason="the packages of an export are not installed (make export)")
    import small_export

    from manihot.app import page, runtime
    from manihot.core.errors import StudyError

    try:
        fetched = runtime.fetch(request.config.cache.mkdir(runtime.PACKAGE))
    except StudyError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("export")
    small_export.make(tmp_path_factory.mktemp("study"), folder)
    page.build(folder, fetched, "Leaves </script> & needles")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos as people have them, and of what is none."""
    folder = tmp_path_factory.mktemp("photos")

    def drawn(seed: int, width: int, height: int) -> Image.Image:
        noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        large = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        return large.filter(ImageFilter.UnsharpMask(2))

    for number in range(8):
        drawn(number, 300 + 37 * number, 420 - 11 * number).save(folder / f"plain{number}.jpg", quality=80 + 2 * number)
    for turn in (2, 3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = turn
        drawn(20 + turn, 320, 200).save(folder / f"turned{turn}.jpg", exif=exif)
    drawn(30, 200, 260).convert("L").save(folder / "grey.jpg")
    clear = drawn(31, 240, 180)
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(folder / "clear.png")
    drawn(32, 128, 128).quantize(16).save(folder / "palette.png")
    drawn(33, 800, 600).save(folder / "camera.jpg", quality=92)
    drawn(34, 4000, 3000).save(folder / "large.jpg", quality=85)
    drawn(35, 200, 200).save(folder / "web.webp", lossless=True)
    drawn(36, 200, 200).convert("CMYK").save(folder / "cmyk.jpg")
    drawn(37, 4, 4).save(folder / "dot.png")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no photo")
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(240)
    yield driver
    driver.quit()


@pytest.fixture
def served(export: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=export)
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def wait(browser: Any, script: str, seconds: float = 240) -> None:
    """Until a script gives something true."""
    end = time.monotonic() + seconds
    while not browser.execute_script(f"return {script}"):
        assert time.monotonic() < end, (script, browser.find_element("id", "status").text, browser.get_log("browser"))
        time.sleep(0.1)


def opened(browser: Any, address: str) -> None:
    browser.get(address)
    wait(browser, "!document.getElementById('choose').disabled")


def show(browser: Any, paths: list[Path]) -> None:
    """Choose photos, and wait for their answers."""
    browser.find_element("id", "choose").send_keys("\n".join(map(str, paths)))
    wait(browser, "status[0] === 'done' || status[0] === 'looking'")
    wait(browser, "status[0] === 'done'")


def told(browser: Any) -> dict[str, dict[str, Any]]:
    """What each card says of its photo, by the photo's name."""
    cards = [
        json.loads(card.get_attribute("data-told")) for card in browser.find_elements("css selector", "[data-told]")
    ]
    return {photo["name"]: photo for card in cards for photo in card["photos"]}


def requests(browser: Any) -> list[str]:
    """The addresses that the page asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in sent if not address.startswith(("data:", "blob:", "chrome:"))]


def expected(export: Path, path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What predict.py of the export says of a photo, and its probabilities."""
    from manihot.export import standalone

    predictor = standalone.Predictor(export, threads=1)
    (answer,) = predictor.answers([path])
    return answer, np.array([answer[f"p{k}"] for k in range(len(predictor.labels))])


def test_photos_from_the_disk_are_answered_as_by_predict_py_and_nothing_is_asked_for(browser, export, photos):
    opened(browser, (export / "app.html").as_uri())
    assert browser.find_element("tag name", "h1").text == "Leaves </script> & needles"
    paths = sorted(photos.iterdir())
    show(browser, paths)
    problems = browser.find_elements("css selector", "[data-problem]")
    assert {line.get_attribute("data-name"): line.get_attribute("data-problem") for line in problems} == REFUSED
    found = told(browser)
    assert set(found) == {path.name for path in paths} - set(REFUSED)
    labels = json.loads((export / "about.json").read_text())["classes"]
    for path in paths:
        if path.name in REFUSED:
            continue
        answer, values = expected(export, path)
        photo = found[path.name]
        near = np.diff(np.sort(values)[-2:])[0] < TIE
        assert np.abs(np.array(photo["probabilities"]) - values).max() <= CLOSE, path.name
        assert near or labels[photo["best"]]["label"] == answer["answer"], path.name
        held = [entry["label"] for entry, inside in zip(labels, photo["set"], strict=True) if inside]
        assert ";".join(held) == answer["set"], path.name
        assert abs(photo["unlike"] - answer["unlike"]) <= 5, path.name
    assert found["camera.jpg"]["milliseconds"] < 10_000 and found["large.jpg"]["milliseconds"] < 40_000
    assert requests(browser) == [(export / "app.html").as_uri()]
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_several_photos_of_a_plant_have_one_answer_and_one_row(browser, export, photos):
    opened(browser, (export / "app.html").as_uri())
    assert not browser.find_element("id", "next").is_displayed()
    browser.execute_script("document.getElementById('one').click()")
    show(browser, [photos / "plain1.jpg"])
    show(browser, [photos / "plain2.jpg", photos / "grey.jpg"])
    (card,) = browser.find_elements("css selector", "[data-told]")
    mean = np.mean([expected(export, photos / name)[1] for name in ("plain1.jpg", "plain2.jpg", "grey.jpg")], axis=0)
    np.testing.assert_allclose(json.loads(card.get_attribute("data-told"))["probabilities"], mean, atol=CLOSE)
    assert "The mean of 3 photos" in card.text
    browser.find_element("id", "next").click()
    # What begins like a formula is none in a spreadsheet, and a comma is no border of a cell.
    odd = photos.parent / "=cmd|'a,b'!A1.jpg"
    shutil.copy2(photos / "plain3.jpg", odd)
    show(browser, [odd])
    header, first, second = browser.execute_script("return table()").strip().split("\n")
    assert header == "time,image_id,answer,probability,set,unlike,review,p0,p1,p2"
    assert "plain1.jpg;plain2.jpg;grey.jpg" in first and f'"./{odd.name}"' in second
    # The history outlives the page, and goes when it is told to.
    opened(browser, (export / "app.html").as_uri())
    assert len(browser.find_elements("css selector", "#history tbody tr")) == 2
    browser.find_element("id", "clear").click()
    browser.switch_to.alert.accept()
    assert not browser.find_elements("css selector", "#history tbody tr")


def test_where_it_looked_is_where_covering_takes_most(browser, export, photos):
    opened(browser, (export / "app.html").as_uri())
    show(browser, [photos / "camera.jpg"])
    # In place of the model: the first class is the brighter, the redder the upper right corner is.
    browser.execute_script("""
        session = {run: async ({photos: {data, dims: [, height, width]}}) => {
          let red = 0, n = 0;
          for (let y = 0; y < height / 7; y++) for (let x = Math.ceil(6 * width / 7); x < width; x++, n++) red += data[3 * (y * width + x)];
          const p = 0.9 * red / n / 255;
          return {probabilities: {data: [p, p, p]}};
        }};
        const card = document.querySelector('.card'), pen = document.createElement('canvas').getContext('2d');
        pen.canvas.width = 210; pen.canvas.height = 140;
        pen.fillStyle = '#060'; pen.fillRect(0, 0, 210, 140); pen.fillStyle = '#f00'; pen.fillRect(180, 0, 30, 20);
        card.photos[0].picture = pen.canvas.toDataURL();
        card.querySelector('.where').click();
    """)
    wait(browser, "document.querySelectorAll('.card img').length === 2")
    lost = np.array(next(iter(told(browser).values()))["where"]).reshape(7, 7)
    assert np.unravel_index(lost.argmax(), lost.shape) == (0, 6) and lost.max() > 0.5
    assert not np.abs(lost[2:]).any() and not np.abs(lost[:, :5]).any()
    assert (
        not browser.find_elements("css selector", ".where")
        and "It shows a place" in browser.find_element("css selector", ".card").text
    )
    # Where no place matters, it says so.
    browser.execute_script("""
        session = {run: async () => ({probabilities: {data: [0.5, 0.5, 0.5]}})};
        const card = document.querySelector('.card');
        card.photos[0].of = -1; card.redraw(); card.querySelector('.where').click();
    """)
    wait(browser, "document.querySelector('.card').textContent.includes('No single place matters')")


def test_from_a_web_server_a_second_visit_needs_no_network(browser, export, photos, served):
    address = f"http://127.0.0.1:{served.server_port}/app.html"
    opened(browser, address)
    show(browser, [photos / "plain0.jpg"])
    before = told(browser)["plain0.jpg"]["probabilities"]
    wait(browser, "navigator.serviceWorker.controller !== null")
    own = ("/app.html", "/app.webmanifest", "/app-icon.svg", "/app-worker.js")
    assert all(f"http://127.0.0.1:{served.server_port}" in asked and asked.endswith(own) for asked in requests(browser))
    served.shutdown()
    served.server_close()
    opened(browser, address)
    show(browser, [photos / "plain0.jpg"])
    assert told(browser)["plain0.jpg"]["probabilities"] == before


def test_it_speaks_french_and_fits_a_small_phone(browser, export, photos):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened(browser, (export / "app.html").as_uri())
    show(browser, [photos / "camera.jpg", photos / "empty.jpg"])
    browser.execute_script(
        "const s = document.getElementById('language'); s.value = 'fr'; s.dispatchEvent(new Event('change'))"
    )
    text = browser.find_element("tag name", "body").text
    assert "Prendre une photo" in text and "pas de réponse, car le fichier est vide" in text
    assert "Take a photo" not in text and browser.execute_script("return document.documentElement.lang") == "fr"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    heights = browser.execute_script(
        "return [...document.querySelectorAll('.big, .switch, select, summary')].filter(e => e.offsetHeight)"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) >= 5 and min(heights) >= 48
