"""Captions: one to three phrases joined into a sentence, and how much each pose deserves it.

A caption is stored as its text and the attributes that it names, `[3, 2]`: up to three phrases, each with up to two
readings. A phrase is deserved as much as its best reading; a caption half as much as its weakest phrase and half as
its mean phrase, so that a pose which does one thing of two is already nearer than one which does neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.reward_model.wording import framed, is_standing, swap_sides

PHRASES, READINGS = 3, 2
MORE = (0.4, 0.38, 0.22)
"""Shares of captions with no, one and two phrases after the first."""
FAVOUR = 4
"""How many times more often a favoured attribute begins a caption."""
UPRIGHT = "upright"
DOWN = {
    *("sit", "sit_legs_out", "sit_knees_up", "lie_back", "lie_front", "lie_left", "lie_right", "all_fours", "plank"),
    *("kneel", "left_knee_down", "right_knee_down", "squat", "rise", "lower"),
}
"""Attributes of a body that does not stand."""


@dataclass(frozen=True)
class Captions:
    """C captions; `attributes` index the degrees with one column of ones appended at A."""

    texts: tuple[str, ...]
    mirrored_texts: tuple[str, ...]
    attributes: np.ndarray  # [C, 3, 2] int, A where a phrase or a reading is absent
    mirrored_attributes: np.ndarray  # [C, 3, 2]
    source: np.ndarray  # [C] a pose that deserves the caption


def caption_degrees(degrees: jax.Array, attributes: jax.Array) -> jax.Array:
    """`degrees [B, A]`, `attributes [C, 3, 2]` -> `[B, C]`: (min + mean) / 2 over phrases of max over readings."""
    padded = jnp.concatenate([degrees, jnp.ones_like(degrees[:, :1])], axis=1)
    phrase = padded[:, attributes].max(axis=-1)
    missing = ((1.0 - phrase).sum(axis=-1)) / (attributes[..., 0] < degrees.shape[1]).sum(axis=-1)
    return 0.5 * (phrase.min(axis=-1) + 1.0 - missing)


def _readings(names: Sequence[str], column: Mapping[str, int], absent: int) -> list[list[int]]:
    """One phrase's readings padded by repetition; an absent phrase is `absent` twice."""
    columns = [column[name] for name in names[:READINGS]]
    return [(columns * READINGS)[:READINGS] if columns else [absent] * READINGS]


class Standing:
    """When "stand with ..." may be said of a pose of `holds [N, A]`, and whether it then asks for standing upright:
    not of those who stand on one leg or bow."""

    def __init__(self, names: Sequence[str], holds: np.ndarray):
        self._down = np.asarray(holds[:, [name in DOWN for name in names]].any(axis=1))
        self._upright = np.asarray(holds[:, [name == UPRIGHT for name in names]].any(axis=1))
        self._goes = (holds & self._upright[:, None]).sum(axis=0) > 0.02 * holds.sum(axis=0)

    def means_upright(self, chosen: Sequence[int]) -> bool:
        return bool(self._goes[list(chosen)].all())

    def may(self, frame: str, pose: int, chosen: Sequence[int]) -> bool:
        stands = not self._down[pose] and (self._upright[pose] or not self.means_upright(chosen))
        return bool(stands) or not is_standing(frame)


def compose(
    meanings: Mapping[str, tuple[str, ...]],
    names: Sequence[str],
    mirror_of: Sequence[str],
    degrees: np.ndarray,
    num: int,
    seed: int,
    favoured: Sequence[str] = (),
) -> Captions:
    """`num` captions of poses with `degrees [N, A]`, rare attributes as often as common ones, `favoured` ones more.

    `meanings` maps a phrase to the attributes it may mean; `names` are the columns, `mirror_of` their mirror images.
    """
    rng = np.random.default_rng(seed)
    column = {name: i for i, name in enumerate(names)}
    mirror = np.append([column[name] for name in mirror_of], len(names))
    spoken: list[list[str]] = [[] for _ in names]
    for phrase, means in meanings.items():
        for name in means:
            spoken[column[name]].append(phrase)
    holds = degrees > 0.5
    stands = Standing(names, holds)
    shown = [np.flatnonzero(holds[:, a]) for a in range(len(names))]
    usable = [a for a in range(len(names)) if spoken[a] and len(shown[a])]
    usable += [a for a in usable if names[a] in favoured] * FAVOUR
    rarity = 1.0 / np.maximum(holds.mean(axis=0), 0.01)
    texts, attributes, source = [], [], []
    for i in range(num):
        first = usable[i % len(usable)]
        pose = int(rng.choice(shown[first]))
        others = [a for a in np.flatnonzero(holds[pose]) if a != first and spoken[a]]
        count = min(int(rng.choice(PHRASES, p=MORE)), len(others))
        weight = rarity[others] / rarity[others].sum() if others else None
        chosen = [first, *(rng.choice(others, count, replace=False, p=weight) if count else ())]
        phrases = [spoken[a][rng.integers(len(spoken[a]))] for a in rng.permutation(chosen)]
        text, frame = framed(phrases, lambda frame, p=pose, c=chosen: stands.may(frame, p, c), rng)
        texts.append(text)
        rows = [_readings(meanings[phrase], column, len(names))[0] for phrase in phrases]
        if is_standing(frame) and len(rows) < PHRASES and stands.means_upright(chosen):
            rows.append([column[UPRIGHT]] * READINGS)
        attributes.append(rows + [[len(names)] * READINGS] * (PHRASES - len(rows)))
        source.append(pose)
    array = np.array(attributes, np.int32)
    return Captions(
        tuple(texts), tuple(map(swap_sides, texts)), array, mirror[array].astype(np.int32), np.array(source)
    )
