"""The gallery in a real browser, from disk and without a network; skipped by name where there is no Chromium."""

import html.parser
import io
import shutil
import time

import numpy as np
import pytest
from PIL import Image
from zoo_objects import make_skill, tree

import skill_zoo
from anyskill_brax.character.humanoid import load_character
from skill_zoo.curves import write_curves
from skill_zoo.gallery import build
from skill_zoo.gallery.character import describe_character

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)> wave"


class Markup(html.parser.HTMLParser):
    """Scripts that are written into a page, and attributes that run one."""

    def __init__(self):
        super().__init__()
        self.inline, self.handlers = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "script" and not dict(attrs).get("src", "").endswith(".js"):
            self.inline.append(attrs)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def film() -> bytes:
    """A GIF of two frames, red and blue, 50 ms each."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)
    return data.getvalue()


def rollout(frames: int, turn: float) -> bytes:
    """Standing, the head turning and the pelvis rising by 10 cm."""
    qpos = np.tile(load_character().default_qpos, (frames, 1))
    qpos[:, 9] += np.linspace(0, turn, frames)
    qpos[:, 2] += np.linspace(0, 0.1, frames)
    return skill_zoo.tensors_to_bytes({"qpos": qpos})


@pytest.fixture
def site(zoo, tmp_path, controller):
    skill_zoo.save(controller, "low-level", motions={"walk": "CC BY 4.0"})
    drawn = write_curves([{"update": n, HOSTILE: n * n} for n in range(9)], "update", {"update": "u", HOSTILE: HOSTILE})
    for name, text, frames, curves in (("wave", HOSTILE, 90, {"curves.json": drawn}), ("bow", "take a bow", 60, {})):
        skill_zoo.save(
            make_skill(controller, text),
            name,
            files={"preview.gif": film(), "rollout.safetensors": rollout(frames, 0.5), "curves.png": film(), **curves},
            metrics={"mean": 0.25 if name == "bow" else 0.5},
            command=["tools/train_batch.py", "--zoo", "my zoo", "&&", "tools/zoo.py"],
            config={"a": "</script>"},
            force=True,
        )
    assert build(tmp_path / "site", zoo) == 3
    return tmp_path / "site"


def test_nothing_from_a_manifest_becomes_markup_and_nothing_is_fetched(site):
    pages = {name: data.decode() for name, data in tree(site).items() if name.endswith(".html")}
    assert len(pages) == 3 + 2
    for name, text in pages.items():
        markup = Markup()
        markup.feed(text)
        assert markup.inline == [] and markup.handlers == [], name
        assert "http://" not in text and "https://" not in text, name
    page = pages["pages/humanoid.wave.html"]
    for shown in (
        "&lt;script&gt;",
        "tools/train_batch.py --zoo &#x27;my zoo&#x27;\ntools/zoo.py",
        "<polyline ",
        "unverified",
        "humanoid/low-level-v1",
    ):
        assert shown in page
    assert "CC BY 4.0" in pages["pages/humanoid.low-level.html"]
    assert len(list((site / "media").iterdir())) == 2  # one film, one picture: equal files are there once


def test_an_older_gallery_is_replaced_and_nothing_else(site, zoo, tmp_path):
    before = tree(site)
    assert build(site, zoo) == 3 and tree(site) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(skill_zoo.SkillZooError, match="not empty"):
        build(tmp_path / "mine", zoo)
    assert tree(tmp_path / "mine") == {"thesis.txt": b"years of work"}


def test_the_figure_has_the_bodies_hinges_and_shapes_of_the_humanoid():
    character, figure = load_character(), describe_character()
    assert [body["name"] for body in figure["bodies"]] == list(character.body_names)
    assert sorted(h["qpos"] for body in figure["bodies"] for h in body["hinges"]) == list(range(7, 35))
    assert sum(len(body["shapes"]) for body in figure["bodies"]) == len(character.geom_body)


@pytest.fixture
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=flags)
        yield running
        running.close()


def until(holds, seconds=20.0):
    """Wait for something to hold in the page."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@pytest.mark.slow
def test_search_narrows_films_play_and_the_player_scrubs(site, browser):
    page = browser.new_page()
    complaints, requests = [], []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    page.goto((site / "index.html").as_uri())
    count = page.get_by_role("status")
    assert count.text_content() == "3 of 3" and page.locator("#cards li").count() == 3
    page.get_by_label("Search").fill("bow")
    assert count.text_content() == "1 of 3" and "take a bow" in page.locator("#cards li").text_content()
    page.get_by_label("Search").fill("")
    page.get_by_label("Kind").select_option("skill")
    page.get_by_label("Score at least").fill("0.4")
    assert count.text_content() == "1 of 3"
    page.get_by_label("admitted only").check()
    assert count.text_content() == "0 of 3"
    assert page.title() == "Skill zoo"  # the hostile instruction did nothing

    page.goto((site / "pages" / "humanoid.bow.html").as_uri())
    image = page.locator("img.film")
    assert image.evaluate("image => image.complete && image.naturalWidth") == 32
    seen = {image.screenshot() for _ in range(12)}
    assert len(seen) > 1, "the film stands still"
    page.get_by_role("link", name="Replay it in 3-D").click()

    until(lambda: page.evaluate("window.player?.frames") == 60)
    assert page.get_by_label("Skill", exact=True).input_value() == "humanoid/bow-v1"
    scrub, canvas, clock = page.get_by_label("Time"), page.locator("#canvas"), page.locator("#clock")
    first = canvas.screenshot()
    scrub.focus()
    page.keyboard.press("End")
    until(lambda: clock.text_content() == "2.0 s")
    assert canvas.screenshot() != first
    page.get_by_label("Beside it").select_option("humanoid/wave-v1")
    until(lambda: page.evaluate("window.player.frames") == 90)
    assert "beside" in page.locator("#message").text_content()
    scrub.focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="Play").press("Enter")
    until(lambda: page.evaluate("window.player.frame") > 3)
    page.get_by_role("button", name="Pause").press("Enter")
    assert not page.evaluate("window.player.playing")
    still = canvas.screenshot()
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    until(lambda: canvas.screenshot() != still)  # the camera turns

    assert not complaints
    assert all(url.startswith(("file://", "data:")) for url in requests)


def tab_through(page) -> list[str]:
    """Press Tab until the focus leaves the page; the elements that it met, by id or text."""
    met = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("(e => e === document.body ? '' : e.id || e.textContent)(document.activeElement)")
        if not name or name in met:
            break
        met.append(name)
    return met


@pytest.mark.slow
def test_the_keyboard_reaches_everything_and_a_screen_reader_hears_what_is_there(site, browser):
    page = browser.new_page(reduced_motion="reduce")
    page.goto((site / "index.html").as_uri())
    controls = ["Skip to the content", "Compare two in the player", "query", "kind", "score", "verified", "films"]
    assert tab_through(page) == [*controls, "take a bow", "humanoid/low-level-v1", HOSTILE]
    film = page.get_by_role("img", name="Film: take a bow")
    until(lambda: film.evaluate("e => e.tagName") == "CANVAS")  # less motion is asked for: it stands still once loaded
    first = film.screenshot()
    time.sleep(0.3)
    assert film.screenshot() == first
    page.get_by_role("button", name="Play the films").press("Enter")
    assert film.evaluate("e => e.tagName") == "IMG"

    page.goto((site / "pages" / "humanoid.wave.html").as_uri())
    assert page.get_by_role("img", name="from 0 to 64").count() == 1  # the curve, in words
    assert page.get_by_role("button", name="Play the films").count() == 1

    page.goto((site / "player.html").as_uri())
    until(lambda: page.evaluate("window.player?.frames") == 60)
    assert tab_through(page) == [
        "Skip to the content",
        "All entries",
        "a",
        "b",
        "canvas",
        "play",
        "scrub",
        "speed",
        "reset",
    ]
    view, time_slider = (
        page.get_by_role("application", name="The humanoid replays"),
        page.get_by_role("slider", name="Time"),
    )
    time_slider.press("End")
    until(lambda: time_slider.get_attribute("aria-valuetext") == "2.0 s")
    assert page.locator("#clock").get_attribute("aria-live") == "off"  # it would talk without end while playing
    for key in ("ArrowUp", "ArrowDown", "ArrowLeft", "+"):
        before = view.screenshot()
        view.press(key)
        until(lambda before=before: view.screenshot() != before)
    view.press(" ")
    assert page.evaluate("window.player.playing") and page.get_by_role("button", name="Pause").count() == 1
