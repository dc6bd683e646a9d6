"""What people wrote of motion clips, a second lesson of the temporal tower: windows of a clip beside its captions.

Geometry measures what a window shows, but has no word for "zombie walk"; a caption has, and says of no other clip
whether it would be as true there. So a window's own captions, and texts of the same words, are positives; captions of
other clips are negatives, but those of clips of its category do not count. The mirrored window has the mirrored
captions: there, the clip's captions that name a side are negatives.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip import hashed_text
from anyskill_brax.motion.io import Motion
from anyskill_brax.reward_model.phrases import kept_for_tests, mark, part_of
from anyskill_brax.reward_model.poses import mirror
from anyskill_brax.reward_model.windows import long_enough, measure, motion_windows, starting
from anyskill_brax.reward_model.wording import swap_sides


def captions_of(motion: Motion, part: str | None = None) -> list[str]:
    """Its captions in lower case, without repeats and without those that say nothing or too much.

    With a `part`, "reward" or "judge", those of that half, and none that is kept for tests: what gives the reward
    shares no text with what grades.
    """
    plain = dict.fromkeys(" ".join(caption.lower().split()) for caption in motion.captions)
    sayable = [text for text in plain if len(text) <= hashed_text.MAX_CHARS and any(map(str.isalnum, text))]
    if part is None:
        return sayable
    return [text for text in sayable if part_of(text) == part and mark(text) not in kept_for_tests()]


@dataclass(frozen=True)
class CaptionedClips:
    """M clips that are long enough for a window and have captions; T texts, theirs and the mirrored ones."""

    motions: tuple[Motion, ...]
    texts: tuple[str, ...]
    said: np.ndarray  # [M, 2, K] rows of `texts` said of the clip and of its mirror image; short lists are repeated
    words: np.ndarray  # [T] equal where texts are of equal words, in whatever order
    category: np.ndarray  # [M] equal where clips are of one category

    @classmethod
    def create(
        cls, character: Character, motions: Sequence[Motion], frames: int, part: str | None = None
    ) -> "CaptionedClips":
        """Of those `motions` that have captions (of the half `part`) and fill a window of `frames`."""
        spoken = [(motion, captions_of(motion, part)) for motion in motions]
        spoken = [(m, texts) for m, texts in spoken if texts and long_enough(m, frames)]
        both = [(texts, [swap_sides(text) for text in texts]) for _, texts in spoken]
        row = {text: i for i, text in enumerate(dict.fromkeys(t for pair in both for side in pair for t in side))}
        most = max((len(texts) for _, texts in spoken), default=0)
        said = [[np.resize([row[text] for text in side], most) for side in pair] for pair in both]
        bags: dict[tuple[str, ...], int] = {}
        words = [bags.setdefault(tuple(sorted(hashed_text.words(text))), len(bags)) for text in row]
        kinds: dict[str, int] = {}  # a clip of no category is akin to none
        category = [kinds.setdefault(m.category or f" {i}", len(kinds)) for i, (m, _) in enumerate(spoken)]
        return cls(
            tuple(motion for motion, _ in spoken),
            tuple(row),
            np.array(said, np.int32).reshape(len(spoken), 2, most),
            np.array(words, np.int32),
            np.array(category, np.int32),
        )


def clip_windows(
    character: Character,
    features: Callable[[Character, BodyState], jax.Array],
    clips: CaptionedClips,
    frames: int,
    num: int,
    starting_share: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """`num` windows from anywhere in the clips, and their mirror images: `[2, num, N, F]`. Whose they are: `[num]`."""
    rng = np.random.default_rng(seed)
    qpos, qvel, clip = motion_windows(character, clips.motions, frames, num, rng)
    qpos, qvel = starting(qpos, qvel, starting_share, rng)
    both = [(qpos, qvel), mirror(character, qpos, qvel)]
    return np.stack([measure(character, features, *one)[0] for one in both]), clip


def targets(
    data: Mapping[str, jax.Array], clip: jax.Array, side: jax.Array, text: jax.Array, of: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which window has which caption, and which pairs count: two `[B, C]` of bool.

    Windows of `clip [B]`, mirrored where `side [B]` is 1; captions `text [C]`, drawn from those of the clips `of [C]`.
    `data` has `said`, `words` and `category` of `CaptionedClips`.
    """
    own = data["words"][data["said"][clip, side]]  # [B, K]
    positive = (own[:, None, :] == data["words"][text][None, :, None]).any(axis=-1)
    akin = data["category"][clip][:, None] == data["category"][of][None, :]
    return positive, positive | ~akin | (clip[:, None] == of[None, :])


def draw(
    data: Mapping[str, jax.Array], batch: int, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """`batch` windows, a caption of each, and both mirrored: windows and texts `[2 batch]`, and their `targets`."""
    key_window, key_text = jax.random.split(key)
    window = jax.random.randint(key_window, (batch,), 0, len(data["clip"]))
    which = jax.random.randint(key_text, (batch,), 0, data["said"].shape[-1])
    clip = jnp.tile(data["clip"][window], 2)
    side = jnp.repeat(jnp.arange(2), batch)
    text = data["said"][clip, side, jnp.tile(which, 2)]
    return jnp.concatenate([window, window + len(data["clip"])]), text, *targets(data, clip, side, text, clip)


def caption_recall(
    embed_text: Callable[[Sequence[str]], np.ndarray],
    clips: CaptionedClips,
    seen: np.ndarray,
    clip: np.ndarray,
    learnt: Sequence[str],
) -> dict[str, float]:
    """Of windows `seen [W, D]` of `clip [W]`, the share with a caption of their own nearest, or among the five nearest.

    Against all captions of the clips, texts of equal words once; what chance would get stands beside it. `learnt`: the
    texts that the model was taught, of which some may be these.
    """
    rows = np.unique(clips.said[:, 0])
    _, first = np.unique(clips.words[rows], return_index=True)
    rows = rows[np.sort(first)]
    own = (clips.words[clips.said[:, 0]][:, :, None] == clips.words[rows]).any(axis=1)[clip]  # [W, rows]
    scores = seen @ embed_text([clips.texts[row] for row in rows]).T
    best = np.where(own, scores, -np.inf).max(axis=1, keepdims=True)
    ahead, count = (scores > best).sum(axis=1), own.sum(axis=1)
    out: dict[str, float] = {"clips": len(clips.motions), "windows": len(clip), "captions": len(rows)}
    out["captions_learnt"] = len({clips.texts[row] for row in rows} & {*learnt})
    for name, among in (("first", 1), ("fifth", 5)):
        missed = [comb(len(rows) - int(k), among) / comb(len(rows), among) if among < len(rows) else 0 for k in count]
        out[name] = float((ahead < among).mean())
        out[f"{name}_by_chance"] = float(1.0 - np.mean(missed))
    return out
