"""The page at `/` in a real browser, headless Chromium, against the served stack; screenshots stay in var/page/."""

import base64
import hashlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest
from clips import first_seconds, sample_video
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route, expect, sync_playwright

from framelens_client import Client
from framelens_client.videos import Video

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "var" / "page"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-headless-shell", "google-chrome"))), None)
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 360, "height": 740}

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None or find_library("atomic") is None,
        reason="no Chromium, or no libatomic for its driver; install Debian's chromium-headless-shell, libatomic1",
    ),
    pytest.mark.timeout(180),
]
# The browser tells no driver what is in a form that holds a file.
KEEP_WHAT_IS_ASKED = """
    window.asked = [];
    const send = window.fetch;
    window.fetch = (path, options) => {
        const form = options?.body;
        if (form instanceof FormData) asked.push({ path, request: JSON.parse(form.get("request")) });
        return send(path, options);
    };
    const post = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (form) {
        asked.push({ path: "v1/videos", request: JSON.parse(form.get("request")) });
        return post.call(this, form);
    };
"""
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def origin(served: dict[str, str], bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the served stack, with the sample catalogue in it."""
    state = tmp_path_factory.mktemp("page-state")
    catalogue = ["perf/framelens_perf/sample_catalog.csv", "--images", "var/samples", "--state", state / "state"]
    environment = {**os.environ, "FRAMELENS_ADDRESS": served["grpc"]}
    with Client(served["grpc"]) as client:
        # What the examples of documents have stored shows the same things.
        if others := [stored.product.id for stored in client.all_products()]:
            client.delete_products(others)
    command = [bin_dir / "framelens", "products", "import", *catalogue]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return f"http://{served['http']}"


class Watched:
    """What a page has done that it must not do."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.faults: list[str] = []
        self._origin = origin
        context.on("page", self._watch)

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("request", self._sent)

    def _heard(self, kind: str, text: str) -> None:
        # A refusal of the gateway is one of the page's cases, and Chromium logs each.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.faults.append(f"{kind}: {text}")

    def _sent(self, request: Request) -> None:
        if not request.url.startswith((f"{self._origin}/", f"blob:{self._origin}/", "data:")):
            self.faults.append(f"left the origin: {request.url}")


@pytest.fixture
def visit(browser: Browser, origin: str) -> Iterator[Visit]:
    """Opens the page. At the end the console is silent, no policy was broken, and no request has left the origin."""
    with ExitStack() as stack:

        def open_page(at: str = origin, before: Callable[[Page], None] = lambda _: None, **options: Any) -> Page:
            chosen: dict[str, Any] = {"viewport": WIDE, "locale": "en-US", "reduced_motion": "reduce", **options}
            context = stack.enter_context(closing(browser.new_context(**chosen)))
            watched = Watched(context, at)
            stack.callback(lambda: watched.faults and pytest.fail("\n".join(watched.faults)))
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.add_init_script(KEEP_WHAT_IS_ASKED)
            before(page)
            page.goto(f"{at}/")
            expect(page.locator(".sample").first).to_be_visible()
            return page

        yield open_page


def shot(page: Page, name: str, full_page: bool = False) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=SHOTS / f"{name}.png", full_page=full_page)


def open_sample(page: Page, name: str = "Espresso") -> None:
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".box").first).to_be_visible()


def box_named(page: Page, name: str) -> Locator:
    """By a regular expression."""
    return page.locator(".boxes").get_by_role("button", name=re.compile(name))


def select(page: Page, name: str, **where: Any) -> Locator:
    box = box_named(page, name)
    box.click(**where)
    expect(box).to_have_attribute("aria-pressed", "true")
    return page.locator(".box.selected")


def best_match(page: Page) -> Locator:
    return page.locator(".results .card").first


def asked(page: Page, path: str) -> list[dict[str, Any]]:
    """The JSON of every form that was posted to a path."""
    answer: list[dict[str, Any]] = page.evaluate("path => asked.filter((each) => each.path === path)", path)
    return [each["request"] for each in answer]


@contextmanager
def searched(page: Page) -> Iterator[list[dict[str, float]]]:
    """The regions that were searched meanwhile; ends once the last of them has been answered."""
    regions: list[dict[str, float]] = []
    before = len(asked(page, "v1/search-region"))
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search-region") and answer.ok):
        yield regions
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    regions += [request["region"] for request in asked(page, "v1/search-region")[before:]]


def drawn_box(page: Page) -> dict[str, float]:
    """Where the selected box is, in 0..1 of the frame."""
    answer: dict[str, float] = page.evaluate(
        """() => {
            const box = document.querySelector(".box.selected").getBoundingClientRect();
            const frame = document.querySelector(".boxes").getBoundingClientRect();
            return {
                x_min: (box.left - frame.left) / frame.width, y_min: (box.top - frame.top) / frame.height,
                x_max: (box.right - frame.left) / frame.width, y_max: (box.bottom - frame.top) / frame.height,
            };
        }"""
    )
    return answer


def near(box: dict[str, float]) -> Any:
    return pytest.approx(box, abs=0.01)


def centre(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_sample_its_boxes_and_the_product_in_one(visit: Visit) -> None:
    page = visit()
    shot(page, "welcome")
    open_sample(page)
    expect(page.get_by_role("heading", name="2 things found")).to_be_visible()
    shot(page, "found")
    select(page, "^cup, ")
    card = best_match(page)
    link = card.get_by_role("link", name="Espresso cup with saucer")
    expect(link).to_have_attribute("href", "https://shop.example/mug-espresso")
    expect(link).to_have_attribute("rel", re.compile("noopener"))
    expect(card).to_contain_text("€18.50")
    expect(card).to_contain_text("Kitchen & Co")
    picture = card.locator("img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 16
    expect(page.get_by_role("status").last).to_have_text("cup, 95%: 1 match")
    shot(page, "matches")
    page.get_by_text("Less alike").click()
    page.get_by_role("button", name="More").click()
    # More than one page of them.
    expect(page.locator(".folded .card").nth(15)).to_be_visible()


def test_timings_are_there_for_the_curious(visit: Visit) -> None:
    page = visit()
    open_sample(page)
    expect(page.locator(".timings-body")).to_be_hidden()
    page.locator(".timings summary").click()
    body = page.locator(".timings-body")
    for said in ("detect", "embed", "search", "total", "round trip", "detector 1", "products__embedder_effnet_lite0"):
        expect(body).to_contain_text(said)
    shot(page, "timings")


def test_a_box_is_moved_and_resized_by_mouse(visit: Visit) -> None:
    page = visit()
    open_sample(page)
    # Beside the cup, whose box lies over its middle.
    select(page, "^dining table", position={"x": 60, "y": 300})
    page.mouse.move(*centre(page.locator("[data-edges=nw]")))
    page.mouse.down()
    with searched(page) as regions:
        for share in (0.2, 0.35, 0.5):
            page.mouse.move(60 + 690 * share, 75 + 455 * share, steps=4)
        page.mouse.up()
    assert regions[-1] == near(drawn_box(page))
    assert 0.45 < regions[-1]["x_min"] < 0.55
    x, y = centre(page.locator(".box.selected"))
    page.mouse.move(x, y)
    page.mouse.down()
    with searched(page) as regions:
        page.mouse.move(x - 150, y - 120, steps=5)
        page.mouse.up()
    moved = drawn_box(page)
    assert regions[-1] == near(moved)
    assert moved["x_max"] - moved["x_min"] == pytest.approx(0.5, abs=0.03)
    expect(page.locator(".state")).to_contain_text("In the box you set")
    shot(page, "box-changed")
    page.get_by_role("button", name="Put the box back").click()
    expect(page.locator(".state")).to_have_text(re.compile("Recognised"))
    assert drawn_box(page)["x_min"] == pytest.approx(0, abs=0.02)


def test_matches_follow_the_box(visit: Visit) -> None:
    """From the astronaut, who is searched in videos, to the helmet that she holds."""
    page = visit()
    open_sample(page, "Astronaut")
    select(page, "^person")
    with searched(page) as regions:
        drag(page, "nw", 0.55, 0.65)
    with searched(page) as regions:
        drag(page, "se", 0.99, 0.995)
    assert regions[-1] == near({"x_min": 0.55, "y_min": 0.65, "x_max": 0.99, "y_max": 0.995})
    expect(best_match(page).get_by_role("heading")).to_contain_text("Space helmet with visor")


def drag(page: Page, edges: str, x: float, y: float) -> None:
    """A handle to a place of the frame."""
    frame = page.locator(".boxes").bounding_box()
    assert frame
    page.mouse.move(*centre(page.locator(f"[data-edges={edges}]")))
    page.mouse.down()
    page.mouse.move(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"], steps=6)
    page.mouse.up()


FOLLOW = """async () => {
    const { RegionSearch } = await import("/page/region-search.js");
    const [asked, answered, failed] = [[], [], []];
    const answers = new Map();
    const search = (box, signal) => new Promise((resolve, reject) => {
        asked.push({ box, signal });
        answers.set(box, { resolve, reject });
    });
    const hear = [(answer) => answered.push(answer), (error) => failed.push(error.message)];
    const following = new RegionSearch(search, ...hear);
    const rest = () => new Promise((done) => setTimeout(done, 220));
    for (const box of ["a", "b", "c"]) following.follow(box);
    await rest();
    following.follow("d");
    await rest();
    answers.get("c").resolve("of c, too late");
    answers.get("d").resolve("of d");
    await rest();
    following.follow("e");
    await rest();
    answers.get("e").reject(new Error("too late"));
    following.follow("f");
    following.stop();
    await rest();
    following.follow("g");
    await rest();
    answers.get("g").reject(new Error("why g failed"));
    await rest();
    return { asked: asked.map(({ box, signal }) => [box, signal.aborted]), answered, failed };
}"""


def test_a_search_that_is_overtaken_is_given_up_and_its_answer_dropped(visit: Visit) -> None:
    followed = visit().evaluate(FOLLOW)
    assert followed["asked"] == [["c", True], ["d", True], ["e", True], ["g", False]]
    assert followed["answered"] == ["of d"]
    assert followed["failed"] == ["why g failed"]


def test_a_box_is_moved_and_resized_by_keyboard(visit: Visit) -> None:
    page = visit()
    open_sample(page)
    box = box_named(page, "^cup")
    box.focus()
    page.keyboard.press("Enter")
    before = drawn_box(page)
    with searched(page) as regions:
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"):
            page.keyboard.press(key)
    wanted = {
        "x_min": before["x_min"] + 0.02,
        "y_min": before["y_min"] + 0.01,
        "x_max": before["x_max"] + 0.03,
        "y_max": before["y_max"] + 0.03,
    }
    assert regions[-1] == pytest.approx(wanted, abs=0.004)
    assert drawn_box(page) == pytest.approx(wanted, abs=0.004)
    expect(page.locator(".box.selected")).to_be_focused()
    expect(best_match(page)).to_contain_text("Espresso cup")
    page.keyboard.press("Escape")
    assert drawn_box(page) == pytest.approx(before, abs=0.004)


def test_a_box_is_moved_and_resized_by_touch(visit: Visit) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    open_sample(page)
    page.touchscreen.tap(*centre(box_named(page, "^cup")))
    selected = page.locator(".box.selected")
    expect(selected).to_have_attribute("aria-label", re.compile("^cup"))
    before = drawn_box(page)
    with searched(page) as regions:
        swipe(page, centre(selected), (60, 40))
    after = drawn_box(page)
    assert regions[-1] == near(after)
    assert after["x_min"] > before["x_min"] + 0.1
    with searched(page) as regions:
        swipe(page, centre(page.locator("[data-edges=sw]")), (-40, 50))
    assert regions[-1] == near(drawn_box(page))
    assert drawn_box(page)["x_min"] < after["x_min"] - 0.05
    assert page.evaluate("scrollY") == 0
    shot(page, "phone-matches", full_page=True)


def swipe(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    """One finger, as the browser's own input sees it."""
    session = page.context.new_cdp_session(page)
    for step in range(7):
        kind = "touchStart" if step == 0 else "touchMove"
        at = {"x": start[0] + by[0] * step / 6, "y": start[1] + by[1] * step / 6}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_person_draws_a_box(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="Rocket at night").click()
    expect(page.get_by_role("heading", name="Nothing found by itself")).to_be_visible()
    page.get_by_role("button", name="Draw a box").click()
    frame = page.locator(".boxes").bounding_box()
    assert frame
    page.mouse.move(frame["x"] + 0.1 * frame["width"], frame["y"] + 0.05 * frame["height"])
    page.mouse.down()
    with searched(page) as regions:
        page.mouse.move(frame["x"] + 0.9 * frame["width"], frame["y"] + 0.95 * frame["height"], steps=5)
        page.mouse.up()
    assert regions == [near({"x_min": 0.1, "y_min": 0.05, "x_max": 0.9, "y_max": 0.95})]
    expect(best_match(page)).to_contain_text("rocket on its pad")
    expect(box_named(page, "^Your box")).to_be_focused()
    shot(page, "drawn")
    page.keyboard.press("Delete")
    expect(page.locator(".box")).to_have_count(0)


def test_without_a_pointer_a_box_is_there_to_be_moved(visit: Visit) -> None:
    page = visit()
    open_sample(page)
    page.get_by_role("button", name="Draw a box").focus()
    with searched(page) as regions:
        page.keyboard.press("Enter")
    assert regions == [near({"x_min": 0.3, "y_min": 0.3, "x_max": 0.7, "y_max": 0.7})]
    expect(box_named(page, "^Your box")).to_be_focused()


def drop(page: Page, name: str, kind: str, content: bytes) -> None:
    transfer = page.evaluate_handle(
        """([name, type, text]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type }));
            return transfer;
        }""",
        [name, kind, base64.b64encode(content).decode()],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def test_a_picture_is_dropped(visit: Visit) -> None:
    page = visit()
    drop(page, "mine.png", "image/png", (ROOT / "var/samples/coffee.png").read_bytes())
    expect(box_named(page, "^cup")).to_be_visible()
    expect(page.get_by_role("img", name="Picture: mine.png")).to_be_visible()


def test_a_broken_file_is_answered_with_the_gateways_sentence(visit: Visit) -> None:
    page = visit()
    drop(page, "broken.jpg", "image/jpeg", b"\xff\xd8 this is no picture")
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("picture")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    shot(page, "broken-file")
    page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_be_hidden()


def test_overload_offers_to_try_again(visit: Visit, served: dict[str, str]) -> None:
    page = visit()
    host, _, port = served["http"].rpartition(":")
    with ExitStack() as stack:
        # Each takes a permit and sends nothing of its body.
        for _ in range(64):
            held = stack.enter_context(socket.create_connection((host, int(port))))
            held.sendall(b"POST /v1/recognize HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n")
        time.sleep(0.5)
        page.get_by_role("button", name="Motorcycle", exact=True).click()
        expect(page.get_by_role("alert").first).to_contain_text("requests are in flight already")
        shot(page, "overloaded")
    page.get_by_role("button", name="Try again").click()
    expect(box_named(page, "^motorcycle")).to_be_visible()
    expect(page.get_by_role("alert").first).to_be_hidden()


def test_the_last_file_that_was_opened_is_the_one_that_is_shown(visit: Visit) -> None:
    page = visit()
    for name in ("Motorcycle", "Cat", "Espresso"):
        page.get_by_role("button", name=name, exact=True).click(no_wait_after=True)
    expect(box_named(page, "^cup")).to_be_visible()
    assert box_named(page, "^(motorcycle|cat)").count() == 0


def test_chinese_is_spoken_and_remembered(visit: Visit) -> None:
    page = visit(locale="zh-CN")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_role("button", name="浓缩咖啡").click()
    expect(box_named(page, "^杯子.+95%$")).to_be_visible()
    select(page, "^杯子")
    expect(page.get_by_text("看起来是同款")).to_be_visible()
    shot(page, "chinese")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_text("Looks the same")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("See it in the frame. Find it.")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^画面里有什么"))


def test_every_label_has_a_chinese_name(visit: Visit) -> None:
    page = visit()
    labels = [each for each in (ROOT / "model_repository/detector/labels.txt").read_text().split("\n") if each]
    known = page.evaluate("import('/page/labels.js').then((module) => Object.keys(module.LABELS_ZH))")
    assert set(known) == {*(each for each in labels if not each.startswith("unused")), "object"}
    english, chinese = page.evaluate(
        "import('/page/words.js').then((module) => Object.values(module.WORDS).map((each) => Object.keys(each).sort()))"
    )
    assert english == chinese


@pytest.mark.parametrize("viewport", [WIDE, PHONE, NARROW], ids=["wide", "phone", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_is_legible(visit: Visit, viewport: dict[str, int], scheme: str) -> None:
    mobile = viewport is not WIDE
    page = visit(viewport=viewport, color_scheme=scheme, is_mobile=mobile, has_touch=mobile)
    name = f"{scheme}-{viewport['width']}"
    assert fits(page)
    shot(page, f"{name}-welcome")
    open_sample(page)
    select(page, "^cup")
    assert fits(page)
    shot(page, f"{name}-matches", full_page=mobile)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(18, 19, 22)") is (scheme == "dark")
    assert page.evaluate(CONTRAST) == []


def fits(page: Page) -> bool:
    answer: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return answer


# Texts on plain ground whose contrast is below what WCAG asks for (AA, 4.5 : 1).
CONTRAST = """() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour[3] === undefined || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const wrong = [];
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!text || element.closest(".frame, .unseen, noscript, .skip") || !element.checkVisibility()) continue;
        const lights = [parse(getComputedStyle(element).color), ground(element)].map(light);
        const [one, other] = lights.sort((a, b) => b - a);
        if ((one + 0.05) / (other + 0.05) < 4.5) wrong.push(element.outerHTML.slice(0, 100));
    }
    return wrong;
}"""


def test_a_screen_reader_finds_its_way(visit: Visit) -> None:
    page = visit()
    expect(page.locator("body")).to_match_aria_snapshot(
        """
        - link "Skip to content"
        - banner:
          - button "FrameLens, start again"
          - group "Language":
            - button "English" [pressed]
            - button "中文"
        - main:
          - heading "See it in the frame. Find it." [level=1]
          - button "Choose a picture or a video"
          - heading "Try a sample" [level=2]
          - list:
            - listitem:
              - button "Espresso"
        - status
        """
    )
    open_sample(page)
    expect(page.get_by_role("status").last).to_have_text("2 things found: cup and dining table")
    select(page, "^cup")
    expect(page.locator("main")).to_match_aria_snapshot(
        """
        - main:
          - region "Frame":
            - 'img "Picture: Espresso"'
            - button "cup, 95%" [pressed]
            - button /dining table, \\d+%/
            - button "Open another"
            - button "Draw a box"
          - region "Matches":
            - button "All things"
            - heading "cup" [level=2]
            - heading "Looks the same" [level=3]
            - list:
              - listitem:
                - heading /Espresso cup with saucer/ [level=4]:
                  - link /Espresso cup with saucer/
        """
    )
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, [role=button]")]
            .filter((each) => each.checkVisibility() && !(each.getAttribute("aria-label") || each.textContent.trim()
                || each.labels?.length))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []


def test_tab_goes_through_the_page_in_its_order_and_is_seen(visit: Visit) -> None:
    page = visit()
    open_sample(page)
    page.get_by_role("link", name="Skip to content").focus()
    names = []
    for _ in range(9):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", names[-1]
    order = ["FrameLens, start again", "English", "中文", "cup, 95%", "dining table", "Open another", "Draw a box"]
    at = [next(i for i, name in enumerate(names) if name.startswith(each)) for each in order]
    assert at == sorted(at)


def test_hostile_words_stay_words(visit: Visit) -> None:
    """Titles, merchants, notes and addresses come from anybody."""
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

    def answer(route: Route) -> None:
        match = {"kind": "product", "id": "1", "title": evil, "merchant": evil, "score": 0.9, "currency": evil}
        matches = [
            {**match, "price": 1, "url": "javascript:document.title='owned'"},
            {**match, "url": "data:text/html,x"},
            {**match, "url": "https://shop.example/fine"},
        ]
        box = {"x_min": 0.1, "y_min": 0.1, "x_max": 0.6, "y_max": 0.6}
        found = {"label": evil, "score": 0.9, "box": box, "route": "products", "matches": matches, "note": evil}
        route.fulfill(json={"objects": [found], "served": {"stages_ms": {evil: 1}, "source": evil}})

    page = visit(before=lambda page: page.route("**/v1/recognize", answer))
    open_sample(page)
    page.locator(".box").click()
    expect(page.locator(".card")).to_have_count(3)
    assert page.locator("img[src=x], .results script, .timings script").count() == 0
    assert page.locator(".card a").evaluate_all("links => links.map((each) => each.href)") == [
        "https://shop.example/fine"
    ]
    assert page.title() == "FrameLens: find what is in the frame"


def test_markup_is_refused_even_if_the_page_tried(browser: Browser, origin: str) -> None:
    page = browser.new_page()
    page.goto(origin)
    assert (
        page.evaluate("try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }")
        == "TypeError"
    )


@pytest.fixture
def guarded(served: dict[str, str], bin_dir: Path, tmp_path: Path) -> Iterator[str]:
    """Another gateway on the served Triton and Milvus that wants a token."""
    grpc_port, http_port = free_ports()
    environment = {
        **os.environ,
        "FRAMELENS_TOKENS": '["open sesame"]',
        "FRAMELENS_GRPC_PORT": str(grpc_port),
        "FRAMELENS_HTTP_PORT": str(http_port),
        "FRAMELENS_TRITON_ADDRESS": served["triton_grpc"],
        "FRAMELENS_MILVUS_URI": f"http://{served['milvus']}",
        "FRAMELENS_CROPS_DIR": str(tmp_path / "crops"),
        "FRAMELENS_SAMPLES_DIR": "var/samples",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([bin_dir / "framelens-gateway"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
            try:
                socket.create_connection(("127.0.0.1", http_port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{http_port}"
    finally:
        process.terminate()
        process.wait(30)


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def test_a_token_is_asked_for_once_and_kept_for_the_tab(visit: Visit, guarded: str) -> None:
    page = visit(guarded)
    page.get_by_role("button", name="Espresso", exact=True).click()
    dialog = page.get_by_role("dialog", name="This gateway asks for a token")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("Bearer token")).to_be_focused()
    shot(page, "token")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("The gateway does not know this token.")
    dialog.get_by_label("Bearer token").fill("open sesame")
    dialog.get_by_role("button", name="Continue").click()
    expect(box_named(page, "^cup")).to_be_visible()
    page.reload()
    open_sample(page)
    expect(dialog).to_be_hidden()
    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.get_by_role("button", name="Espresso", exact=True).click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert").first).to_contain_text("the token is missing or wrong")


RECORD = """async () => {
    const picture = new Image();
    picture.src = "/samples/coffee.png";
    await picture.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [480, 320];
    const brush = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm;codecs=vp8" });
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.start();
    const begun = performance.now();
    for (let at = 0; at < 4; at = (performance.now() - begun) / 1000) {
        brush.fillStyle = `hsl(210 20% ${60 + at}%)`;
        brush.fillRect(0, 0, 480, 320);
        if (at > 1 && at < 3) brush.drawImage(picture, 20 * at - 40, 0, 480, 320);
        await new Promise(requestAnimationFrame);
    }
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
}"""


@pytest.fixture(scope="module")
def webm(browser: Browser, origin: str, served: dict[str, str]) -> Iterator[bytes]:
    """Four seconds, with the cup in the second and the third; its file does not say how long it is."""
    page = browser.new_page()
    page.goto(origin)
    recorded = base64.b64decode(page.evaluate(RECORD))
    page.close()
    yield recorded
    with Client(served["grpc"]) as client:
        client.delete_video(id_of(recorded))


def id_of(video: bytes) -> str:
    return f"you-{hashlib.sha256(video).hexdigest()[:40]}"


def open_video(visit: Visit, webm: bytes, **options: Any) -> Page:
    page = visit(**options)
    drop(page, "cup.webm", "video/webm", webm)
    expect(page.get_by_role("heading", name="Moments")).to_be_visible(timeout=60_000)
    return page


def go_to(page: Page, second: float) -> None:
    page.locator("video").first.evaluate("(video, second) => { video.currentTime = second; }", second)
    page.wait_for_function(
        "second => Math.abs(document.querySelector('.frame video').currentTime - second) < 0.1", arg=second
    )


def test_a_video_is_indexed_and_its_button_comes_and_goes(visit: Visit, webm: bytes) -> None:
    page = open_video(visit, webm)
    (header,) = asked(page, "v1/videos")
    assert header["video"] == {"id": id_of(webm), "account": "you", "title": "cup.webm"}
    assert header["sha256"] == hashlib.sha256(webm).hexdigest()
    ask = page.locator(".ask")
    assert "shown" not in (ask.get_attribute("class") or "")
    page.get_by_role("button", name="Play").click()
    expect(ask).to_have_class(re.compile("shown"))
    expect(ask).not_to_have_class(re.compile("shown"), timeout=15_000)
    assert 2.4 < page.locator(".frame video").evaluate("video => video.currentTime") < 4
    page.get_by_role("button", name=re.compile("cup at 0:0[12]")).click()
    expect(ask).to_have_class(re.compile("shown"))
    shot(page, "video-moments")


def test_a_frame_of_a_video_is_recognised_and_left_again(visit: Visit, webm: bytes) -> None:
    page = open_video(visit, webm)
    go_to(page, 1.5)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Recognise this frame").click()
    expect(box_named(page, "^cup")).to_be_visible()
    assert page.locator(".frame video").evaluate("video => video.paused")
    (request,) = asked(page, "v1/recognize")
    assert request["video_id"] == id_of(webm)
    assert 1.2 <= request["timestamp_s"] <= 3.0
    select(page, "^cup")
    expect(best_match(page)).to_contain_text("Espresso cup with saucer")
    with searched(page) as regions:
        drag(page, "se", 0.8, 0.8)
    assert regions[-1] == near(drawn_box(page))
    shot(page, "video-matches")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".box")).to_have_count(0)


def test_a_sample_video_leads_to_those_of_other_accounts(visit: Visit, served: dict[str, str], tmp_path: Path) -> None:
    """Indexed, told, recognised from what is stored; a video that the page has is played, another one is linked."""
    other = first_seconds(sample_video(2), tmp_path / "other.mp4", 6)
    with Client(served["grpc"]) as client:
        client.index_video(Video("pedestrians-2", "square", "Walk on"), other)
        client.index_video(Video("far", "cafe", "Walk far", "https://videos.example/far"), other)
    page = visit()
    page.get_by_role("button", name="Video: People who walk", exact=True).click()
    expect(page.get_by_role("heading", name="Moments")).to_be_visible(timeout=120_000)
    go_to(page, 3.0)
    page.get_by_role("button", name="Recognise this frame").click()
    box_named(page, "^person").first.click()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".results")).to_contain_text("by square")
    far = page.get_by_role("link", name=re.compile("Watch from 0:[0-9]+: Walk far"))
    expect(far).to_have_attribute("href", re.compile(r"^https://videos\.example/far#t=[0-9.]+$"))
    page.locator(".timings summary").click()
    expect(page.locator(".timings-body")).to_contain_text("what is stored of the video")
    page.locator(".timings summary").click()
    # The video may still be on its way: the network is not idle.
    page.screenshot(path=SHOTS / "related-videos.png", full_page=True)
    near_by = page.get_by_role("button", name=re.compile("Watch from 0:[0-9]+: Walk on"))
    minutes, seconds = re.findall("[0-9]+", near_by.get_attribute("aria-label") or near_by.inner_text())[:2]
    near_by.click()
    page.wait_for_function(
        "at => Math.abs(document.querySelector('.frame video').currentTime - at) < 1.1",
        arg=60 * int(minutes) + int(seconds),
    )
    with Client(served["grpc"]) as client:
        for video_id in ("far", "pedestrians-1", "pedestrians-2"):
            client.delete_video(video_id)


def test_the_timeline_is_moved_by_keyboard_and_says_where_it_is(visit: Visit, webm: bytes) -> None:
    page = open_video(visit, webm, viewport=PHONE, is_mobile=True, has_touch=True)
    slider = page.get_by_role("slider", name="Position in the video")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("0:02 of 0:0[34]"))
    assert fits(page)
    shot(page, "phone-video", full_page=True)


def test_a_box_is_drawn_on_a_frame_of_a_video(visit: Visit, webm: bytes) -> None:
    page = open_video(visit, webm)
    go_to(page, 3.5)
    page.get_by_role("button", name="Draw a box").focus()
    with searched(page) as regions:
        page.keyboard.press("Enter")
    assert len(regions) == 1
    expect(page.locator(".results .card").first).to_be_visible()


def test_a_video_that_cannot_be_indexed(visit: Visit) -> None:
    page = visit()
    drop(page, "broken.mp4", "video/mp4", b"no video")
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text(re.compile("is not a video that can be read|cannot play"))
    expect(page.get_by_text("The video could not be indexed.")).to_be_visible()
