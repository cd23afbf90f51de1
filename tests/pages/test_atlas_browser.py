"""The page of xmir atlas in a real browser: pointing, moving, choosing, and what it refuses.

Skipped where selenium, chromium or its driver is missing.
"""

import base64
import json
import re
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.pages.contrast import CONTRAST
from xmir_cli.commands.atlas import Atlas
from xmir_cli.console import escape
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.store.hashes import sha256_file
from xmir_cli.stories.atlas import run
from xmir_cli.wire.model import ModelSpec

pytest.importorskip("selenium.webdriver")

from selenium.webdriver.common.action_chains import ActionChains  # see above
from selenium.webdriver.common.keys import Keys  # the same

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
DRAWN_TEXTS = """
window.texts = [];
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.texts.push(text);
  draw.call(this, text, ...where);
};
"""
EVIL = "</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\u202e"


def written(folder: Path, labels, name="atlas", **values) -> str:
    """Images around a circle, so that each lies at an end of its own."""
    count = len(labels)
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    vectors = np.stack([np.cos(turns), np.sin(turns), np.full(count, 0.2)], axis=1)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    paths = [folder / f"{row}.png" for row in range(count)]
    for row, path in enumerate(paths):
        Image.new("L", (40, 30), 20 + 10 * (row % 20)).save(path)
    (folder / "1.png").unlink()
    items = pa.table(
        {
            "id": [f"i/{row:03d}" for row in range(count)],
            "path": [str(path) for path in paths],
            "sha256": [sha256_file(path) if path.exists() else "0" for path in paths],
            "width": pa.array([40] * count, pa.int32()),
            "height": pa.array([30] * count, pa.int32()),
            "label": pa.array(labels, pa.string()),
            "patient": pa.array(["SECRET-NAME"] * count, pa.string()),
            "split": pa.array([None] * count, pa.string()),
            "age": pa.array(range(count), pa.int64()),
            "at": pa.array([datetime(2017, 3, 1 + row % 28, row % 24) for row in range(count)]),
        }
    )
    write_embeddings(folder / f"{name}.parquet", Embeddings(items, vectors, MODEL))
    page = folder / f"{name}.html"
    asked = {"source": str(folder / f"{name}.parquet"), "output": [page], "force": True}
    list(run(Atlas(**asked, **values)))
    return page.as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    labels = ["left", "right", None] * 20
    return written(tmp_path_factory.mktemp("atlas"), labels, color=["label", "age"])


@pytest.fixture
def opened(browser, page):
    browser.get_log("performance")
    browser.get(page)
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    drawn(browser)
    yield browser
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []


def press(browser, keys, on="body"):
    browser.find_element("css selector", on).send_keys(keys)


def drawn(browser):
    """Wait until what has changed is drawn."""
    wait = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
    browser.execute_async_script(wait)


def status(browser):
    return browser.find_element("id", "status").text


def rows(browser):
    """The ids in the table, all as they are at one moment, when what has changed is drawn."""
    drawn(browser)
    return browser.execute_script(
        "return [...document.querySelectorAll('#chosen tbody button')].map(each => each.innerText)"
    )


def colored(browser):
    """How many pixels of the plane have each of the colours of labels, and of none."""
    return browser.execute_script(
        "const canvas = document.getElementById('points');"
        "const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "const found = {};"
        "for (let n = 0; n < data.length; n += 4) {"
        " const color = data[n] << 16 | data[n + 1] << 8 | data[n + 2];"
        " found[color] = (found[color] || 0) + 1; } return found"
    )


def drag(browser, *moves, shift=False):
    over = browser.find_element("id", "over")
    actions = ActionChains(browser, duration=20)
    if shift:
        actions.key_down(Keys.SHIFT)
    actions.move_to_element_with_offset(over, *moves[0]).click_and_hold()
    for move in moves[1:]:
        actions.move_by_offset(*move)
    actions.release()
    if shift:
        actions.key_up(Keys.SHIFT)
    actions.perform()


def around(browser):
    """A lasso around the right half of the plane."""
    size = browser.find_element("id", "over").size
    w, h = size["width"] // 2 - 8, size["height"] // 2 - 8
    return (0, -h), (w, 0), (0, 2 * h), (-w, 0), (0, -h)


def test_the_plane_shows_each_label_in_its_colour(opened):
    found = colored(opened)
    for color in (0x0072B2, 0xE69F00, 0xC4C8CE):
        assert found[str(color)] > 20 * 30  # 20 discs


def test_a_cross_stands_at_the_mean_of_each_label(opened):
    # both labels go around the circle in turn, so that their means are its middle
    middle = (
        "const canvas = document.getElementById('over');"
        "const place = [Math.round(canvas.width / 2), Math.round(canvas.height / 2)];"
        "return [...canvas.getContext('2d').getImageData(...place, 1, 1).data].slice(0, 3)"
    )
    assert opened.execute_script(middle) in ([0x00, 0x72, 0xB2], [0xE6, 0x9F, 0x00])
    assert "✚ mean of its label (2)" in opened.find_element("id", "key").text
    press(opened, "r")
    drawn(opened)
    assert opened.execute_script(middle) == [0, 0, 0]  # nothing
    press(opened, "r")


def test_long_names_are_told_apart_in_the_legend_and_counts_have_spaces(browser, tmp_path):
    names = [f"a hospital with a very very long name, department {place}" for place in (1, 2)]
    browser.get(written(tmp_path, names * 3))
    texts = [each.text for each in browser.find_elements("css selector", "#legend .text")]
    assert [text[-3:] for text in texts] == ["t 1", "t 2"]
    assert all("…" in text and len(text) == 34 for text in texts)
    assert browser.execute_script("return spaced(1234567)") == "1 234 567"


def test_a_time_is_told_as_it_is_in_the_table(browser, tmp_path):
    browser.get(written(tmp_path, ["a"] * 30, color=["at"]))
    for name, told in (("i/003", "2017-03-04 03:00:00"), ("i/024", "2017-03-25")):
        browser.find_element("id", "find").clear()
        press(browser, name + Keys.ENTER, "#find")
        facts = browser.find_element("id", "facts").text.splitlines()
        assert facts[facts.index("at") + 1] == told


def test_a_lasso_takes_ids_to_the_clipboard_and_a_file(opened, tmp_path):
    opened.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})
    downloads = {"behavior": "allow", "downloadPath": str(tmp_path)}
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    drag(opened, *around(opened), shift=True)
    ids = rows(opened)
    assert 25 <= len(ids) <= 35
    assert status(opened) == f"{len(ids)} images selected, their ids are in the clipboard."
    copied = opened.execute_async_script(
        "navigator.clipboard.readText().then(arguments[0], e => arguments[0](String(e)))"
    )
    assert copied.splitlines() == ids == sorted(ids)
    opened.find_element("id", "save").click()
    file = tmp_path / "atlas-ids.txt"
    opened.set_script_timeout(5)
    opened.execute_async_script("setTimeout(arguments[0], 300)")
    assert file.read_text() == "".join(f"{each}\n" for each in ids)


def test_the_saved_ids_ask_an_index(opened, xmir, page):
    drag(opened, *around(opened), shift=True)
    ids = rows(opened)[:3]
    source = page.removeprefix("file://").replace("atlas.html", "atlas.parquet")
    assert xmir("index", source, "-o", "a.xmir").code == 0
    lines = "".join(f"{each}\n" for each in ids).encode()
    found = xmir("query", "--id", "-", "--index", "a.xmir", "--top", "1", stdin=lines)
    assert [each["meta"]["id"] for each in found.records()] == ids


def test_what_is_pointed_at_is_shown_with_its_neighbours(opened):
    place = opened.execute_script(
        "const box = document.getElementById('over').getBoundingClientRect();"
        "const canvas = document.getElementById('points'); const pen = canvas.getContext('2d');"
        "const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;"
        "for (let y = 60; y < canvas.height; y += 1) for (let x = 0; x < canvas.width; x += 1) {"
        " const n = 4 * (y * canvas.width + x);"
        " if (data[n] === 0 && data[n + 1] === 0x72 && data[n + 2] === 0xb2)"
        "  return [x * box.width / canvas.width - box.width / 2 + 3,"
        "          y * box.height / canvas.height - box.height / 2 + 2]; }"
    )
    over = opened.find_element("id", "over")
    ActionChains(opened).move_to_element_with_offset(over, *map(round, place)).perform()
    name = opened.find_element("id", "name").text
    assert name.startswith("i/")
    facts = opened.find_element("id", "facts").text
    assert "label\nleft" in facts
    near = opened.find_elements("css selector", "#neighbours button")
    row = int(name[2:])
    # on a circle the nearest two are those beside it
    assert {int(each.get_attribute("title")[2:]) for each in near[:2]} == {
        (row + 1) % 60,
        (row - 1) % 60,
    }
    beside = near[0].get_attribute("title")
    near[0].click()
    assert opened.find_element("id", "name").text == beside


def test_keys_move_zoom_and_go_through_what_is_marked(opened):
    before = colored(opened)
    press(opened, Keys.ARROW_LEFT * 3, "#over")
    press(opened, "++", "#over")
    drawn(opened)
    assert colored(opened) != before
    press(opened, "0")
    drawn(opened)
    assert colored(opened) == before
    press(opened, "n")
    assert "nearest to the mean of left ★" in status(opened)
    press(opened, "n")
    assert "nearest to the mean of right ★" in status(opened)
    press(opened, "p")
    assert "nearest to the mean of left ★" in status(opened)
    press(opened, Keys.ENTER, "#over")
    assert len(rows(opened)) == 1
    press(opened, "v")
    assert status(opened) == "60 images in view selected."
    press(opened, Keys.ESCAPE)
    assert rows(opened) == []


def test_a_label_can_be_hidden_and_is_not_selected_then(opened):
    opened.find_element("css selector", '#legend [data-kind="0"]').click()
    drawn(opened)
    assert str(0x0072B2) not in colored(opened)
    press(opened, "v")
    assert status(opened) == "40 images in view selected."


def test_colours_change_to_another_column(opened):
    opened.find_element("css selector", "#column option:nth-child(2)").click()
    drawn(opened)
    assert opened.find_elements("css selector", "#legend canvas")
    assert str(0x0072B2) not in colored(opened)
    assert len(colored(opened)) > 50


def test_part_of_an_id_is_found(opened):
    press(opened, "01" + Keys.ENTER, "#find")
    assert rows(opened) == ["i/001", *(f"i/{row:03d}" for row in range(10, 20))]


def test_a_picture_that_cannot_be_read_is_a_grey_tile_and_no_patient_is_told(opened, page):
    text = Path(page.removeprefix("file://")).read_text()
    assert "SECRET" not in text
    assert opened.find_elements("css selector", "#shown canvas") == []
    press(opened, "i/001" + Keys.ENTER, "#find")
    assert opened.find_element("css selector", "#shown canvas").get_attribute("aria-label")


def test_nothing_is_asked_of_anybody(opened):
    press(opened, "nnt+r")
    sent = [json.loads(each["message"])["message"] for each in opened.get_log("performance")]
    urls = [
        each["params"]["request"]["url"]
        for each in sent
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert urls
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}


def test_what_looks_like_markup_stays_text(browser, tmp_path):
    browser.get(written(tmp_path, [EVIL, EVIL, "b"] * 3))
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    shown = browser.find_element("css selector", "#legend .text").get_property("textContent")
    assert shown == f"{escape(EVIL)[:17]}…{escape(EVIL)[-16:]}"
    assert len(browser.find_elements("tag name", "script")) == 2
    assert browser.find_elements("css selector", "img[src=x]") == []
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []


def test_names_are_spelt_as_in_a_terminal_wherever_they_stand(browser, tmp_path):
    turned, broken = "\u202eevil", "line\nbreak"
    address = written(tmp_path, [turned, broken, "plain"] * 3, name="a\u202eb")
    browser.get(address)
    drawn(browser)
    browser.execute_script(DRAWN_TEXTS)
    press(browser, "rr")
    drawn(browser)
    names = browser.execute_script("return window.texts")
    assert {*names} == {escape(turned), escape(broken), "plain"}
    marks = "a\0\t\n\r\x1b\x7f\x85\xad\u200b\u2028\u2029\u2066\ufeff\U000e0041\\ é 肺"
    assert browser.execute_script("return safe(arguments[0])", marks) == escape(marks)
    text = browser.execute_script("return document.body.innerText + document.title")
    assert not {*text} & {"\u202e"}
    assert text.count(escape(turned)) >= 2  # in the legend and the table


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(opened, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    press(opened, "nv")
    drawn(opened)
    ground = max(colored(opened).items(), key=lambda each: each[1])[0]
    assert ground == str(0xFFFFFF if scheme == "light" else 0x15171A)
    assert opened.execute_script(CONTRAST) == []
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_paper_is_white_whatever_the_screen_is(opened):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    drawn(opened)
    asked = {"printBackground": True, "preferCSSPageSize": True}
    pdf = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", asked)["data"])
    streams = [
        zlib.decompress(each) for each in re.findall(rb"stream\r?\n(x.*?)endstream", pdf, re.DOTALL)
    ]
    # the points are there, drawn by curves in the colours of a light page
    assert max(each.count(b" c\n") for each in streams) > 60 * 4
    drawn(opened)
    assert str(0x15171A) in colored(opened)  # the screen's again
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_shows_the_page_without_scrolling_sideways(opened):
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= 360


@pytest.mark.parametrize("count", [1, 2])
def test_few_images_make_a_page_too(browser, tmp_path, count):
    browser.get(written(tmp_path, ["a", "b"][:count]) if count > 1 else _single(tmp_path))
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []


def _single(folder: Path) -> str:
    (folder / "1.png").touch()
    return written(folder, ["a"])
