"""The page of xmir report in a real browser without a window: keys, sorting, and what it refuses.

Skipped where selenium, chromium or its driver is missing.
"""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pages.contrast import CONTRAST
from xmir_cli.commands.report import Report
from xmir_cli.stories.report import run
from xmir_cli.wire.model import ModelSpec

pytest.importorskip("selenium.webdriver")

from selenium.webdriver.common.keys import Keys  # left out without selenium

EVIL = (
    "<script>document.title='ran'</script>",
    '"><img src=x onerror="document.title=1">',
    "</script><script>document.title='ran'</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; \u2028 \u202e'",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """Two queries with two hits each, maps of two methods, and matches of one."""
    folder = tmp_path_factory.mktemp("page")
    for place, (name, size) in enumerate([("q1", (60, 40)), ("q2", (30, 60)), ("r", (50, 50))]):
        Image.new("L", size, 60 + 30 * place).save(folder / f"{name}.png")
    records = []
    for query in ("q1", "q2"):
        for rank in (1, 2):
            for method in ("occlusion", "activation"):
                saliency = np.zeros((32, 32), np.float32)
                saliency[8:16, 8:16] = rank
                np.save(folder / f"{query}{rank}{method}.npy", saliency)
                records.append(
                    {
                        "schema": "xmir.causal/1",
                        "query": f"{query}.png",
                        "retrieved": "r.png",
                        "rank": rank,
                        "match": rank == 1,
                        "similarity": 1 / rank,
                        "method": method,
                        "saliency": f"{query}{rank}{method}.npy",
                        "roi": [0, 0, 50, 50],
                        "insertion": None if query == "q2" else 0.1 * rank,
                        "insertion_curve": [0.0, 0.5, 1.0],
                        "details": {
                            "matches": [
                                {"query": [1, 1, 9, 9], "retrieved": [5 * n, 5, 9, 9], "share": 0.1}
                                for n in (1, 4)
                            ]
                        },
                    }
                )
    return written(folder, records)


def written(folder: Path, records, **values) -> str:
    lines = folder / "records.jsonl"
    lines.write_text("".join(json.dumps(each) + "\n" for each in records))
    list(run(Report(records=str(lines), output=folder / "page.html", force=True, **values)))
    return (folder / "page.html").as_uri()


@pytest.fixture
def opened(browser, page):
    """The page, opened anew, and how to ask it by JavaScript."""
    browser.get_log("performance")
    browser.get(page)
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    yield browser
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []


def press(browser, keys):
    browser.find_element("tag name", "body").send_keys(keys)


def where(browser):
    return browser.find_element("id", "where").text


def test_arrows_go_through_hits_and_letters_through_queries(opened):
    assert where(opened) == "Query 1 of 2, hit 1 of 2, occlusion"
    press(opened, Keys.ARROW_RIGHT)
    assert where(opened) == "Query 1 of 2, hit 2 of 2, occlusion"
    press(opened, Keys.ARROW_RIGHT)
    assert where(opened) == "Query 2 of 2, hit 1 of 2, occlusion"
    press(opened, Keys.ARROW_RIGHT + Keys.ARROW_RIGHT + "n")
    assert where(opened) == "Query 2 of 2, hit 2 of 2, occlusion"
    press(opened, "p")
    assert where(opened) == "Query 1 of 2, hit 1 of 2, occlusion"
    press(opened, Keys.ARROW_LEFT)
    assert where(opened) == "Query 1 of 2, hit 1 of 2, occlusion"


def test_a_chosen_method_stays_from_hit_to_hit(opened):
    press(opened, "m" + Keys.ARROW_RIGHT)
    assert where(opened) == "Query 1 of 2, hit 2 of 2, activation"
    shown = opened.execute_script(
        "return [...document.querySelectorAll('.leaf:not([hidden])')].map(each => each.id)"
    )
    assert shown == ["leaf-4"]
    press(opened, "m")
    assert where(opened).endswith("occlusion")


def test_plus_minus_and_the_slider_change_the_opacity_of_the_map(opened):
    opacity = "return document.querySelector('#retrieved img.map').style.opacity"
    assert opened.execute_script(opacity) == "0.6"
    press(opened, "+")
    assert opened.execute_script(opacity) == "0.65"
    press(opened, "--")
    assert opened.execute_script(opacity) == "0.55"
    opened.find_element("id", "opacity").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert opened.execute_script(opacity) == "0.65"
    assert opened.find_element("id", "percent").text == "65 %"
    assert where(opened).startswith("Query 1 of 2, hit 1")


def test_the_bare_picture_is_one_key_away(opened):
    shown = "return document.querySelector('#retrieved img.map').checkVisibility()"
    marks = "return document.querySelector('#retrieved svg').checkVisibility()"
    assert (opened.execute_script(shown), opened.execute_script(marks)) == (True, True)
    press(opened, "b")
    assert (opened.execute_script(shown), opened.execute_script(marks)) == (False, False)
    assert opened.find_element("id", "bare").get_attribute("aria-pressed") == "true"
    press(opened, "b")
    assert opened.execute_script(shown)


def test_colours_are_told_apart_on_a_grey_picture_and_the_bare_one_is_as_it_is(opened):
    drawn = "return getComputedStyle(document.querySelector('#retrieved img.bare')).filter"
    assert opened.execute_script(drawn) == "grayscale(1)"
    press(opened, "b")
    assert opened.execute_script(drawn) == "none"


def test_query_and_answer_stand_side_by_side_swapped_or_in_one_place(opened):
    query, answer = (opened.find_element("id", each) for each in ("query", "retrieved"))
    assert query.location["x"] < answer.location["x"]
    press(opened, "s")
    assert query.location["x"] > answer.location["x"]
    press(opened, "o")
    assert (query.is_displayed(), answer.is_displayed()) == (False, True)
    press(opened, "s")
    assert (query.is_displayed(), answer.is_displayed()) == (True, False)


def test_the_map_lies_where_the_network_saw_the_picture(opened):
    places = opened.execute_script(
        "return [...document.querySelectorAll('#retrieved img')].map(each => {"
        "const box = each.getBoundingClientRect(); return [box.width, box.height]})"
    )
    assert places[0] == pytest.approx(places[1], abs=0.5)  # roi is the whole of r.png
    size = "const i = document.querySelector('#query img'); return i.clientWidth / i.clientHeight"
    assert opened.execute_script(size) == pytest.approx(60 / 40, rel=0.01)


@pytest.mark.parametrize("way", ["key", "button", "focus"])
def test_a_matched_region_lights_up_on_both_sides(opened, way):
    if way == "key":
        press(opened, "2")
    elif way == "button":
        opened.find_elements("css selector", "#matches button")[1].click()
    else:
        opened.execute_script("document.querySelectorAll('#query .match')[1].focus()")
    lit = opened.execute_script(
        "return [...document.querySelectorAll('.match.lit')].map(each =>"
        " [each.closest('figure').id, each.dataset.match])"
    )
    assert lit == [["query", "1"], ["retrieved", "1"]]


def test_keys_can_be_switched_off_and_leave_those_of_the_browser_alone(opened):
    opened.find_element("css selector", "#keys summary").click()
    opened.find_element("id", "listen").click()
    press(opened, "n")
    assert where(opened).startswith("Query 1")
    opened.find_element("id", "listen").click()
    press(opened, Keys.CONTROL + "s" + Keys.NULL)
    assert opened.find_element("id", "swap").get_attribute("aria-pressed") == "false"


def column(browser, place):
    return [
        row.find_elements("tag name", "td")[place].text
        for row in browser.find_elements("css selector", "tbody")[0].find_elements("tag name", "tr")
    ]


def test_a_table_is_sorted_both_ways_with_nothing_last(opened):
    header = next(
        each for each in opened.find_elements("css selector", "th") if each.text == "insertion"
    )
    place = opened.execute_script("return arguments[0].cellIndex", header)
    header.find_element("tag name", "button").click()
    assert column(opened, place) == ["0.1000", "0.1000", "0.2000", "0.2000", "", "", "", ""]
    assert header.get_attribute("aria-sort") == "ascending"
    header.find_element("tag name", "button").click()
    assert column(opened, place)[:5] == ["0.2000", "0.2000", "0.1000", "0.1000", ""]
    assert header.get_attribute("aria-sort") == "descending"


def test_words_that_ask_stand_where_the_picture_of_a_query_would(browser, tmp_path):
    Image.new("L", (30, 30), 90).save(tmp_path / "r.png")
    hit = {"query_text": "bilateral <b>opacities", "retrieved": "r.png", "rank": 1}
    np.save(tmp_path / "m.npy", np.ones((8, 8), np.float32))
    mapped = {**hit, "method": "activation", "saliency": "m.npy", "roi": [0, 0, 30, 30]}
    browser.get(written(tmp_path, [hit, mapped]))
    words = browser.find_element("css selector", "#query .stage").get_property("textContent")
    assert words == "bilateral <b>opacities"
    # of a hit that came also without a map, the map is seen first
    assert where(browser) == "Query 1 of 1, hit 1 of 1, activation"


def test_a_mask_is_outlined_where_it_lies_until_the_picture_is_bare(browser, tmp_path):
    Image.new("L", (40, 30), 90).save(tmp_path / "r.png")
    Path(tmp_path / "b.csv").write_text("path,x,y,w,h\nr.png,10,6,20,12\n")
    records = [{"query": "r.png", "retrieved": "r.png", "rank": 1, "similarity": 1.0}]
    browser.get(written(tmp_path, records, boxes=tmp_path / "b.csv"))
    for side in ("query", "retrieved"):
        stage = browser.find_element("css selector", f"#{side} .stage")
        line = browser.find_element("css selector", f"#{side} path.outline:not(.halo)")
        picture = stage.find_element("css selector", "img.bare")
        assert picture.get_attribute("alt").endswith("what experts marked outlined")
        inside, whole = line.rect, picture.rect
        shares = [(inside[a] - whole[a]) / whole[b] for a, b in (("x", "width"), ("y", "height"))]
        assert shares == pytest.approx([10 / 40, 6 / 30], abs=0.02)
        assert inside["width"] / whole["width"] == pytest.approx(20 / 40, abs=0.02)
    press(browser, "b")
    assert not browser.find_element("css selector", "#query path.outline").is_displayed()


def test_no_name_is_cut_however_long(browser, tmp_path):
    """The end of a name tells it apart."""
    name = f"{'a-long-name-' * 7}0001"
    Image.new("L", (9, 9)).save(tmp_path / "r.png")
    record = {"query": f"{name}.png", "retrieved": "r.png", "meta": {"id": f"{name}2"}}
    browser.get(written(tmp_path, [{**record, "retrieved_label": "label " * 40}]))
    cut = """return [...document.querySelectorAll(".card *, figcaption, td, th")].filter(each =>
        getComputedStyle(each).overflow !== "visible" && each.scrollHeight > each.clientHeight + 1
        && !each.classList.contains("stage")).map(each => each.textContent)"""
    assert browser.execute_script(cut) == []
    cards = [each.text for each in browser.find_elements("css selector", ".card .name")]
    assert cards == [f"{name}.png", f"{name}2"]


def test_a_row_of_the_table_and_a_card_lead_to_the_hit(opened):
    opened.find_element("css selector", '.go[data-record="8"]').click()
    assert where(opened) == "Query 2 of 2, hit 2 of 2, activation"
    opened.execute_script("document.querySelectorAll('.card.answer')[1].click()")
    assert where(opened) == "Query 1 of 2, hit 2 of 2, activation"


def test_nothing_is_asked_of_anybody(opened):
    press(opened, "nnpm" + Keys.ARROW_RIGHT)
    sent = [json.loads(each["message"])["message"] for each in opened.get_log("performance")]
    urls = [
        each["params"]["request"]["url"]
        for each in sent
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert urls
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}


@pytest.mark.parametrize(
    ("attempt", "directive"),
    [
        ("new Image().src = 'http://127.0.0.1:9/a.png'", "img-src"),
        ("fetch('http://127.0.0.1:9/').catch(() => 0)", "connect-src"),
        (
            "document.body.appendChild(document.createElement('iframe')).src = 'http://[::1]:9/'",
            "frame-src",
        ),
        ("document.body.setAttribute('onclick', 'document.title = 1')", "script-src-attr"),
        ("document.body.setAttribute('style', 'color: red')", "style-src-attr"),
    ],
)
def test_the_policy_refuses_whatever_is_not_the_pages_own(browser, page, attempt, directive):
    browser.get(page)
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "document.addEventListener('securitypolicyviolation',"
        " each => done(each.effectiveDirective));"
        f"try {{ {attempt} }} catch (error) {{ done(String(error)) }}"
    )
    assert found == directive or "policy" in found.lower() or "Trusted" in found
    browser.get_log("browser")


@pytest.mark.parametrize("evil", EVIL)
def test_what_looks_like_markup_stays_text(browser, tmp_path, evil):
    Image.new("L", (30, 30), 90).save(tmp_path / "q.png")
    record = {
        "query": "q.png",
        "retrieved": "q.png",
        "retrieved_label": evil,
        "query_label": evil,
        "method": evil,
        "settings": {evil: evil},
        "meta": {"id": evil.replace("/", "|")},
    }
    other = {"schema": "xmir.sanity/1", "method": evil, "position": 1, "spearman": 0.5}
    first = {**other, "position": 0}
    uri = written(tmp_path, [record, other, first], title=evil)
    browser.get(uri)
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    shown = evil.replace("\u2028", "\\u2028").replace("\u202e", "\\u202e")
    assert browser.title.split() == shown.split()
    heading = browser.find_element("tag name", "h1").get_property("textContent")
    assert heading == shown
    caption = browser.find_element("css selector", "#query figcaption").get_property("textContent")
    assert caption == f"Query q.png, {shown}"
    assert len(browser.find_elements("tag name", "script")) == 2
    assert browser.find_elements("css selector", "[onerror], img[src=x]") == []
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []


def test_pictures_have_words_and_tab_goes_from_the_skip_link_through_the_tools(opened):
    alts = "return [...document.images].filter(each => !each.matches('.map')).map(each => each.alt)"
    assert all(opened.execute_script(alts))
    first = (
        "Retrieved image r.png, rank 1, similarity 1.000, same label, under its map of occlusion"
    )
    assert opened.execute_script(alts)[1] == first
    reached = []
    for _ in range(6):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            opened.execute_script(
                "return document.activeElement.id || document.activeElement.className"
            )
        )
    assert reached == ["skip", "query-on", "hit-on", "method", "opacity", "bare"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(opened, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    ground = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert opened.execute_script(CONTRAST) == []
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_moves_for_those_who_ask_for_less_motion(opened):
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    moving = (
        "return [...document.querySelectorAll('*')].filter(each =>"
        " !/^0s(, 0s)*$/.test(getComputedStyle(each).transitionDuration)).length"
    )
    assert opened.execute_script(moving) == 0
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_shows_the_page_without_scrolling_sideways(opened):
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= 360


def test_it_prints_to_a4_with_every_picture(opened):
    asked = {"printBackground": True, "preferCSSPageSize": True}
    pdf = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", asked)["data"])
    boxes = re.findall(rb"/MediaBox\s*\[([^]]*)\]", pdf)
    assert boxes
    for box in boxes:
        assert [float(each) for each in box.split()] == pytest.approx([0, 0, 595, 842], abs=1)
    painted = "return document.querySelectorAll('.card .stage:empty').length"
    assert opened.execute_script(painted) == 0


def test_the_bar_has_the_colours_of_the_overlay(opened):
    """As the map's layer: stops with its opacities on grey, at the opacity that is chosen."""
    opacity = "return document.querySelector('#retrieved .bar .colors').style.opacity"
    assert opened.execute_script(opacity) == "0.6"
    press(opened, "+")
    assert opened.execute_script(opacity) == "0.65"
    opened.find_element("id", "opacity").send_keys(Keys.ARROW_LEFT)
    assert opened.execute_script(opacity) == "0.6"
    stops = opened.execute_script(
        "const fill = document.querySelector('#retrieved .bar .colors').getAttribute('fill');"
        "return [...document.querySelectorAll(`${fill.slice(4, -1)} stop`)].map(each =>"
        " Number(each.getAttribute('stop-opacity')))"
    )
    shares = (np.linspace(0, 1, len(stops)) - 0.15).clip(0) / 0.85
    assert stops == pytest.approx(shares * (2 - shares), abs=1e-3)


def test_a_frame_on_the_query_shows_what_the_network_saw(browser, tmp_path):
    for name, size in (("q", (60, 40)), ("r", (50, 50))):
        Image.new("L", size, 90).save(tmp_path / f"{name}.png")
    np.save(tmp_path / "m.npy", np.ones((8, 8), np.float32))
    model = {**ModelSpec("x", "random:0").to_json(), "weights_sha256": "0" * 64}
    record = {
        "query": "q.png", "retrieved": "r.png", "rank": 1, "method": "occlusion",
        "saliency": "m.npy", "roi": [3, 3, 44, 44], "model": model,
    }  # fmt: skip
    browser.get(written(tmp_path, [record]))
    frames = "return document.querySelectorAll('#query .crop:not(.halo)').length"
    assert browser.execute_script(frames) == 1
    press(browser, "b")
    shown = "return document.querySelector('#query .crop').checkVisibility()"
    assert not browser.execute_script(shown)


def test_a_table_wider_than_paper_prints_as_blocks_with_names(browser, tmp_path):
    record = {"schema": "xmir.localization-summary/1", "method": "activation"}
    for number in ("hit", "energy", "auroc", "auprc", "iou", "rank_accuracy"):
        record |= {number: 0.5, f"{number}_low": 0.25, f"{number}_high": 0.75}
        record[f"{number}_gain"] = {"center": 0.125, "random": 0.25}
    narrow = {"schema": "xmir.epoch/1", "epoch": 1}
    browser.get(written(tmp_path, [record, narrow]))
    asked = {"printBackground": True, "preferCSSPageSize": True}
    browser.execute_cdp_cmd("Page.printToPDF", asked)
    wide = (
        "return [...document.querySelectorAll('table.records')].map(each => each.matches('.wide'))"
    )
    assert browser.execute_script(wide) == [True, False]
    name = "return document.querySelector('table.wide td.number').dataset.name"
    assert browser.execute_script(name) == "hit"
