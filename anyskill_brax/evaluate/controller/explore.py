"""The latent space to be walked about in: places on a map, what each latent does, and the ways between some of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np

from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.coverage import votes
from anyskill_brax.evaluate.controller.sphere import slerp_schedule
from anyskill_brax.evaluate.controller.stage import RATE, Stage, held
from anyskill_brax.evaluate.controller.tsne import principal_axes, tsne
from anyskill_brax.networks import sample_latents
from anyskill_brax.types import UserError

PERPLEXITY = 20.0


@dataclass(frozen=True)
class Point:
    """A latent, held from standing."""

    kind: str  # "clip": the encoder's, of a clip's middle; or "random"
    name: str
    category: str  # of the clip; of a random latent, that of the clip it is nearest to
    nearest: str  # the clip that its rollout is nearest to; "" for none
    seconds_up: float
    falls: bool
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Exploration:
    """N points; K anchors among them, with a rollout of the way between each two."""

    points: tuple[Point, ...]
    qpos: np.ndarray  # [F, N, 35] at 30 Hz
    anchors: tuple[int, ...]
    ways: tuple[tuple[int, int], ...]  # [K (K - 1)] indices into `points`
    way_qpos: np.ndarray  # [G, K (K - 1), 35]


def explore(
    stage: Stage, clips: Clips, *, random: int, anchors: int, seconds: float, seed: int, stride: int, report: Callable
) -> Exploration:
    """Every clip's latent and `random` ones held for `seconds`; slerps between `anchors` of them, as long."""
    if random < 1 or anchors < 2 or seconds < 2.0:
        raise UserError(f"{random} random latents, {anchors} anchors, {seconds:g} s; expected >= 1, >= 2, >= 2 s")
    keys, every = jax.random.split(jax.random.PRNGKey(seed), 3), np.arange(len(clips))
    free = np.asarray(sample_latents(keys[0], (random,), stage.low_level.latent_dim))
    latents = np.concatenate([clips.latents(stage.low_level, every, clips.frames // 2), free])
    report(f"{len(latents)} latents held for {seconds:g} s")
    played = stage.play(stage.stand(keys[1], len(latents)), held(latents, seconds))
    nearest, _ = votes(played, clips.atlas, stride)
    report("the map (t-SNE of great-circle distances)")
    places = tsne(great_circle(latents) ** 2, principal_axes(latents), PERPLEXITY)
    up = played.up.sum(axis=0) / RATE
    points = []
    for i, near in enumerate(nearest):
        known = i < len(clips)
        points.append(
            Point(
                kind="clip" if known else "random",
                name=clips.names[i] if known else f"random {i - len(clips)}",
                category=clips.categories[i] if known else clips.categories[near] if near >= 0 else "-",
                nearest=clips.names[near] if near >= 0 else "",
                seconds_up=float(up[i]),
                falls=bool(~played.up[-1, i]),
                x=float(places[i, 0]),
                y=float(places[i, 1]),
            )
        )
    whole = list(range(len(clips)))
    chosen = far_apart(latents, [i for i in whole if not points[i].falls] or whole, anchors)
    ways = tuple((a, b) for a in chosen for b in chosen if a != b)
    report(f"{len(ways)} ways between {len(chosen)} anchors")
    if not ways:
        return Exploration(tuple(points), played.qpos, chosen, (), played.qpos[:, :0])
    start, end = (latents[[way[k] for way in ways]] for k in (0, 1))
    path = slerp_schedule(start, end, seconds, rest=1.0)
    morphs = stage.play(stage.stand(keys[2], len(ways)), path)
    return Exploration(tuple(points), played.qpos, chosen, ways, morphs.qpos)


def great_circle(latents: np.ndarray) -> np.ndarray:
    """Angles between unit rows `[N, L]`: `[N, N]` [rad]."""
    return np.arccos(np.clip(latents @ latents.T, -1.0, 1.0)) * (1 - np.eye(len(latents)))


def far_apart(latents: np.ndarray, among: list[int], count: int) -> tuple[int, ...]:
    """The first of `among`, then always the one that is farthest from all chosen before; at most `count`."""
    chosen = [int(among[0])]
    apart = great_circle(latents)
    while len(chosen) < min(count, len(among)):
        rest = [i for i in among if i not in chosen]
        chosen.append(int(rest[int(apart[np.ix_(rest, chosen)].min(axis=1).argmax())]))
    return tuple(chosen)


def thinned(found: Exploration, step: int) -> Exploration:
    """Every `step`-th frame, for a page that is to be small."""
    return replace(found, qpos=found.qpos[::step], way_qpos=found.way_qpos[::step])
