"""The latent explorer: a map that keeps neighbours, a page that needs nothing, and both in a real browser."""

import json
import re

import numpy as np
import pytest
from stand_ins import random_controller
from test_gallery import browser, until  # noqa: F401  (a fixture)

import skill_zoo
from anyskill_brax.evaluate.controller.explore import Exploration, Point, explore, far_apart, great_circle
from anyskill_brax.evaluate.controller.tsne import neighbourhoods, principal_axes, tsne
from anyskill_brax.motion.io import save_motion_folder
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.types import UserError
from skill_zoo.gallery.build import STATIC
from skill_zoo.gallery.explorer import explorer_page, pack, unpack

TOOL = "explore_latents"
HOSTILE = "</script><script>document.title='owned'</script>"


def two_clouds() -> np.ndarray:
    """Unit vectors `[40, 8]` about two poles."""
    rng = np.random.default_rng(0)
    points = np.concatenate([np.eye(8)[:1], np.eye(8)[1:2]]).repeat(20, axis=0) + 0.1 * rng.normal(size=(40, 8))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_every_neighbourhood_has_the_size_that_was_asked():
    p = neighbourhoods(great_circle(two_clouds()) ** 2, 5.0)
    assert p.sum(axis=1) == pytest.approx(1.0) and (np.diag(p) == 0).all()
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1)
    assert np.exp(entropy) == pytest.approx(5.0, rel=1e-3)


def test_the_map_keeps_clouds_apart_and_is_the_same_again():
    points = two_clouds()
    maps = [tsne(great_circle(points) ** 2, principal_axes(points), 8.0) for _ in range(2)]
    np.testing.assert_array_equal(*maps)
    assert np.abs(maps[0]).max() == pytest.approx(1.0)
    apart = np.linalg.norm(maps[0][:, None] - maps[0][None], axis=-1) + np.diag(np.full(40, np.inf))
    assert (apart.argmin(axis=1) // 20 == np.arange(40) // 20).all(), "every nearest neighbour is of one's own cloud"


def test_anchors_are_far_apart():
    points = np.array([[1.0, 0], [0.99, np.sqrt(1 - 0.99**2)], [0, 1.0], [-1.0, 0]])
    assert far_apart(points, [0, 1, 2, 3], 3) == (0, 3, 2)
    assert far_apart(points, [1, 2], 5) == (1, 2)


@pytest.fixture
def found(character) -> Exploration:
    """Five latents: standing, the first three anchors; each turns the head its own way and walks off."""
    qpos = np.tile(character.default_qpos, (60, 5, 1))
    qpos[:, :, 9] += np.linspace(0, 1, 60)[:, None] * np.linspace(-0.4, 0.4, 5)
    qpos[:, :, 0] += np.linspace(0, 2, 60)[:, None]
    qpos[30:, :, 3:7] *= -1  # the same rotation
    ways = tuple((a, b) for a in range(3) for b in range(3) if a != b)
    names = [HOSTILE, "walk", "wave", "random 0", "random 1"]
    points = tuple(
        Point("clip" if i < 3 else "random", name, f"kind {i % 2}", names[1], 2.0, i == 4, 0.4 * i - 0.8, 0.1 * i)
        for i, name in enumerate(names)
    )
    return Exploration(points, qpos, (0, 1, 2), ways, qpos[:40, [0, 1, 2, 3, 4, 0]])


def test_packed_poses_come_back_to_half_a_millimetre(found):
    back = unpack(pack(found.qpos), 60)
    assert np.abs(back - found.qpos)[..., :3].max() <= 5.1e-4
    assert np.abs(back - found.qpos)[..., 7:].max() <= 5.1e-5
    assert np.abs(back[..., 3:7] - found.qpos[:1, :, 3:7]).max() <= 1e-4, "continuous: the sign never jumps"


def test_the_page_holds_every_point_and_refers_to_nothing_outside(found):
    page = explorer_page(found, "The latents of <x>", {"seed": 3, "controller": HOSTILE})
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["points"]) == 5 and data["points"][0]["name"] == HOSTILE
    assert len(data["ways"]) == 6 and data["way_frames"] == 20 and data["frames"] == 30
    assert unpack(data["poses"], 30).shape == (30, 5, 35)
    assert "The latents of &lt;x&gt;" in page and HOSTILE not in page
    own = page.replace((STATIC / "three.min.js").read_text(), "")
    assert "http://" not in own and "https://" not in own
    assert not re.search(r"\b(src|href)=\"(?!data:|#)", own) and "default-src 'none'" in own
    assert len(page) < len((STATIC / "three.min.js").read_text()) + 100_000


@pytest.mark.slow
def test_a_click_plays_a_latent_and_shift_click_the_way(found, browser, tmp_path):  # noqa: F811
    (tmp_path / "page.html").write_text(explorer_page(found, "Latents", {"seed": 3}))
    page = browser.new_page()
    complaints, requests = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    until(lambda: page.evaluate("window.player?.frames") == 59)
    assert page.title() == "Latents" and page.locator("#map .mark").count() == 5
    message, map_ = page.locator("#message"), page.get_by_label("Map of 5 latents")

    page.locator("#map .mark").nth(3).click()
    assert message.text_content() == "random 0: nearest to walk, stays up"
    until(lambda: page.evaluate("window.player.frame") > 2)
    page.locator("#map .mark").nth(1).click()
    page.locator("#map .mark").nth(2).click(modifiers=["Shift"])
    assert message.text_content() == "The way from walk to wave"
    assert page.evaluate("window.player.frames") == 39

    map_.focus()
    page.keyboard.press("ArrowRight")
    assert message.text_content() == "random 0: nearest to walk, stays up"
    page.keyboard.press("ArrowRight")
    assert message.text_content() == "random 1: nearest to walk, falls after 2.0 s"
    page.get_by_label("Show").select_option("falls")
    assert message.text_content() == "1 of 5 latents shown"
    assert page.locator("#map .mark:visible").count() == 1
    page.get_by_label("The way from").select_option(label="walk")
    page.get_by_label("to", exact=True).select_option(label="walk")
    page.get_by_role("button", name="Play the way").press("Enter")
    assert message.text_content() == "A way needs two different ringed latents."
    assert not complaints
    assert all(url.startswith(("file://", "data:")) for url in requests)


@pytest.mark.slow
def test_the_tool_explores_a_controller(tool, character, tmp_path, capsys):
    skill_zoo.save(random_controller(character), "low-level", zoo=tmp_path / "zoo")
    save_motion_folder(tmp_path / "mine", builtin_motions(character, kinds=["bow", "wave"]))
    page = tmp_path / "latents.html"
    size = ("--random", 3, "--anchors", 2, "--seconds", 2, "--motions", tmp_path / "mine", "--zoo", tmp_path / "zoo")
    assert tool("humanoid/low-level", "--out", page, *size) == 0
    assert "6 latents, 2 ways" in capsys.readouterr().out
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])
    assert [point["kind"] for point in data["points"]] == ["clip"] * 3 + ["random"] * 3
    assert len(data["anchors"]) == 2 and data["way_frames"] == 60


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["humanoid/none-such", "--out", "page.html"], "none-such"),
        (["humanoid/low-level", "--out", "page.pdf"], "latents.html"),
        (["humanoid/builtin-pose", "--out", "page.html"], "expected a low-level controller"),
    ],
)
def test_bad_input_is_one_message(tool, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert tool(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error and not list(tmp_path.iterdir())


def test_sizes_that_ask_nothing_are_refused():
    with pytest.raises(UserError, match="1 anchors"):
        explore(None, None, random=0, anchors=1, seconds=1.0, seed=0, stride=1, report=print)  # pyright: ignore
