"""Do reward, judge and predicates agree? Asked of motions, and of poses found by optimising the reward.

An item is a short film. Its score under a text is the mean over the third of its latent steps that score best (a clip
stands before and after it does what it is for). A predicate says yes or no of the whole film. Predicates are the
standard; a pose that the reward likes better than every motion and that geometry denies is a way to game it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.reward import RewardModel, embed_goals
from anyskill_brax.evaluate.instructions import meaning
from anyskill_brax.evaluate.predicates import PREDICATES
from anyskill_brax.evaluate.track import Track
from anyskill_brax.high_level.eyes import Eyes, Render
from anyskill_brax.motion.io import Motion, finite_difference
from anyskill_brax.reward_model.optimise import SearchSettings, grounded_pose, search
from anyskill_brax.reward_model.report import auc
from anyskill_brax.types import PRNGKey

FPS = 30.0
STRIDE = 5
STEPS = 24
"""Latent steps of an item, 4 s: a longer clip is cut in pieces, a shorter one ends standing in its last pose."""
KINEMATIC = (
    "raise both arms above the head",
    "raise the left arm",
    "raise the right arm",
    "stretch both arms out to the sides",
    "hold both arms straight out in front",
    "stretch the left arm out to the side",
    "stretch the right arm out to the side",
    "cross your arms",
    "put your hands on your hips",
    "put your hands on your head",
    "put your hands behind your back",
    "put your left hand on your hip",
    "put your right hand on your hip",
    "raise your left knee",
    "raise your right knee",
    "lift your left leg to the side",
    "lift your right leg to the side",
    "stretch your left leg back",
    "stretch your right leg back",
    "stand with your feet apart",
    "bow",
    "crouch",
    "kneel on both knees",
    "kneel on your left knee",
    "lunge with your right leg",
    "lean to the left",
    "lean to the right",
    "turn your head to the left",
    "turn your head to the right",
    "look up",
)
"""Thirty held poses that predicates can decide."""


def search_poses(
    character: Character, eyes: Eyes, goals: np.ndarray, settings: SearchSettings, key: PRNGKey
) -> tuple[np.ndarray, np.ndarray]:
    """The poses that the reward likes best for `goals [K, D]`, held still: `qpos [K, 35]`, their cosines `[K]`."""

    @jax.jit
    def grade(eyes: Eyes, free: jax.Array, goals: jax.Array) -> jax.Array:
        qpos = grounded_pose(character, free)
        bodies = forward_kinematics(character, qpos, jnp.zeros((*qpos.shape[:-1], 34)))
        return jnp.sum(eyes.embed_state(bodies) * goals[:, None], axis=-1)

    found, _ = search(character, partial(grade, eyes), goals, settings, key)
    cosine = np.asarray(grade(eyes, jnp.asarray(found[:, None]), jnp.asarray(goals)))[:, 0]
    return np.asarray(grounded_pose(character, jnp.asarray(found))), cosine


def still(qpos: np.ndarray, seconds: float = 2.0) -> np.ndarray:
    """A pose held: `[35] -> [F, 35]`."""
    return np.repeat(qpos[None], round(seconds * FPS), axis=0)


def held_by_geometry(character: Character, text: str, film: np.ndarray) -> bool:
    """Whether the predicate of a text holds of `film [F, 35]`. The table must know the text."""
    asked = meaning(text)
    assert asked is not None, text
    return bool(asked.holds(Track.of(character, film, FPS)))


def asked_texts() -> list[str]:
    """One instruction for every predicate: its first, which means it and nothing else."""
    texts = [
        entry.instructions[0] if entry.instructions else name.replace("_", " ") for name, entry in PREDICATES.items()
    ]
    return list(dict.fromkeys(text for text in texts if meaning(text)))


def items_of(motions: Sequence[Motion]) -> dict[str, np.ndarray]:
    """Every motion as films `[STEPS * 5, 35]`, the last pose repeated to the end."""
    length, out = STEPS * STRIDE, {}
    for motion in motions:
        for piece in range(max(1, round(motion.num_frames / length))):
            rows = np.minimum(piece * length + np.arange(length), motion.num_frames - 1)
            out[f"{motion.name}.{piece}" if piece else motion.name] = motion.qpos[rows]
    return out


def film_scores(
    character: Character, model: RewardModel, views: Sequence[Render], films: Sequence[np.ndarray], goals: np.ndarray
) -> np.ndarray:
    """Scores `[items, texts]` of films under `goals [K, D]`: the mean over the best third of the steps."""
    eyes = Eyes.create(model, views, "vmap")

    @jax.jit
    def watch(eyes: Eyes, qpos: jax.Array, qvel: jax.Array) -> jax.Array:
        return eyes.watch(forward_kinematics(character, qpos[:, None], qvel[:, None]))[:, 0]

    out = []
    for film in films:
        rows = np.minimum(np.arange(STEPS) * STRIDE + STRIDE - 1, len(film) - 1)
        qvel = finite_difference(film, FPS)[rows]
        seen = np.asarray(watch(eyes, jnp.asarray(film[rows], jnp.float32), jnp.asarray(qvel, jnp.float32)))
        out.append(np.sort(seen @ goals.T, axis=0)[-(STEPS // 3) :].mean(axis=0))
    return np.stack(out)


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    values = [row[name] for row in rows if np.isfinite(row[name])]
    return float(np.mean(values)) if values else float("nan")


def thirty(
    character: Character, reward: RewardModel, views: Sequence[Render], settings: SearchSettings, seed: int = 0
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The poses `qpos [30, 35]` that the reward asks for under `KINEMATIC`, and what geometry says of each."""
    goals, eyes = np.asarray(embed_goals(reward, KINEMATIC)), Eyes.create(reward, views, "vmap")
    qpos, cosine = search_poses(character, eyes, goals, settings, jax.random.key(seed))
    rows = [
        {"text": text, "cosine": float(score), "held": held_by_geometry(character, text, still(pose))}
        for text, score, pose in zip(KINEMATIC, cosine, qpos, strict=True)
    ]
    return rows, qpos


def align(
    character: Character,
    reward: RewardModel,
    judge: RewardModel,
    views: Sequence[Render],
    motions: Sequence[Motion],
    settings: SearchSettings,
    log: Callable[[str], None],
    seed: int = 0,
) -> dict[str, Any]:
    """Every text of `asked_texts`, over motions and over the poses that the reward asks for."""
    texts = asked_texts()
    films = items_of(motions)
    rewarded, judged = (np.asarray(embed_goals(model, texts)) for model in (reward, judge))
    log(f"{len(texts)} texts, {len(films)} films")
    eyes = Eyes.create(reward, views, "vmap")
    found, _ = search_poses(character, eyes, rewarded, settings, jax.random.key(seed + 1))
    adversarial = {f"optimised for {text!r}": still(pose, STEPS / 6) for text, pose in zip(texts, found, strict=True)}
    names, whole = [*films, *adversarial], [*films.values(), *adversarial.values()]
    by_reward = film_scores(character, reward, views, whole, rewarded)
    by_judge = film_scores(character, judge, (), whole, judged)
    track = Track.of(character, np.stack(whole, axis=1), FPS)
    asked = [meaning(text) for text in texts]
    holds = np.stack([one.holds(track) for one in asked if one], axis=1)  # [items, texts]
    log("scored")
    rows, count = [], len(films)
    for k, text in enumerate(texts):
        own = count + k
        best = float(by_reward[:count, k].max())
        rows.append(
            {
                "text": text,
                "predicate": str(asked[k]),
                "films_that_hold": int(holds[:count, k].sum()),
                "reward_auc": auc(by_reward[:, k], holds[:, k]),
                "judge_auc": auc(by_judge[:, k], holds[:, k]),
                "rank_correlation": float(np.asarray(spearmanr(by_reward[:, k], by_judge[:, k]))[0]),
                "optimised_holds": bool(holds[own, k]),
                "optimised_reward_over_best_film": float(by_reward[own, k] - best),
                "optimised_judge_rank": float((by_judge[:count, k] < by_judge[own, k]).mean()),
                "best_film": names[int(by_reward[:count, k].argmax())],
                "best_film_holds": bool(holds[:count, k][by_reward[:count, k].argmax()]),
            }
        )
    gamed = [r for r in rows if r["optimised_reward_over_best_film"] > 0 and not r["optimised_holds"]]
    known = [r for r in rows if r["films_that_hold"]]
    summary = {
        "texts": len(rows),
        "films": count,
        "optimised_films": len(adversarial),
        "reward_auc": _mean(rows, "reward_auc"),
        "judge_auc": _mean(rows, "judge_auc"),
        "rank_correlation": _mean(rows, "rank_correlation"),
        "best_film_holds": float(np.mean([r["best_film_holds"] for r in known])) if known else float("nan"),
        "texts_with_a_film": len(known),
        "optimised_holds": float(np.mean([r["optimised_holds"] for r in rows])),
        "gamed": len(gamed),
        "gamed_and_judge_fooled": sum(r["optimised_judge_rank"] > 0.9 for r in gamed),
    }
    return {"summary": summary, "texts": rows}
