"""Do reward, judge and predicates agree? Asked of motions, of rollouts, and of poses that the reward asks for.

A film's score under a text is the mean over the third of its latent steps that score best (a clip stands before and
after it does what it is for). A predicate says yes or no of the whole film. Predicates are the standard; a pose that
the reward likes better than every other film and that geometry denies is a way to game it.
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
from anyskill_brax.evaluate.films import FPS, LATENT_HZ, STEPS, Films, film_scores, still
from anyskill_brax.evaluate.instructions import meaning
from anyskill_brax.evaluate.predicates import PREDICATES
from anyskill_brax.evaluate.track import Track
from anyskill_brax.high_level.eyes import Eyes, Render
from anyskill_brax.reward_model.optimise import SearchSettings, grounded_pose, search
from anyskill_brax.reward_model.report import auc
from anyskill_brax.types import PRNGKey

UNORDERED = 0.6
"""A reward whose AUC is lower does not know which films do what the text says."""
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
    films: Mapping[str, Films],
    settings: SearchSettings,
    log: Callable[[str], None],
    seed: int = 0,
) -> dict[str, Any]:
    """Every text of `asked_texts`, over films by their source and over the poses that the reward asks for.

    `texts` has a row for each, `summary` their means, `gamed` and `unordered` the texts where the reward fails: a held
    pose that geometry denies earns more than every film; films that do it earn hardly more than films that do not.
    """
    texts = asked_texts()
    rewarded, judged = (np.asarray(embed_goals(model, texts)) for model in (reward, judge))
    log(f"{len(texts)} texts, {', '.join(f'{len(films[source])} {source}' for source in films)}")
    eyes = Eyes.create(reward, views, "vmap")
    found, _ = search_poses(character, eyes, rewarded, settings, jax.random.key(seed + 1))
    log("poses optimised")
    optimised = {text: still(pose, STEPS / LATENT_HZ) for text, pose in zip(texts, found, strict=True)}
    groups = {**films, "optimised": optimised}
    names, whole = ([x for group in groups.values() for x in pick(group)] for pick in (dict.keys, dict.values))
    source = np.concatenate([np.repeat(name, len(group)) for name, group in groups.items()])
    by_reward = film_scores(character, reward, views, whole, rewarded)
    by_judge = film_scores(character, judge, (), whole, judged)
    track = Track.of(character, np.stack(whole, axis=1), FPS)
    asked = [meaning(text) for text in texts]
    holds = np.stack([one.holds(track) for one in asked if one], axis=1)  # [films, texts]
    log("scored")
    among = {one: source == one for one in films} | {"all": source != ""}
    count, rows = len(names) - len(texts), []
    for k, text in enumerate(texts):
        best, own = int(by_reward[:count, k].argmax()), count + k
        row: dict[str, Any] = {"text": text, "predicate": str(asked[k])}
        for one, chosen in among.items():
            row |= _agreement(one, *(scores[chosen, k] for scores in (by_reward, by_judge, holds)))
        rows.append(
            row
            | {
                "optimised_holds": bool(holds[own, k]),
                "optimised_reward_over_best_film": float(by_reward[own, k] - by_reward[best, k]),
                "optimised_judge_rank": float((by_judge[:count, k] < by_judge[own, k]).mean()),
                "a_film_holds": bool(holds[:count, k].any()),
                "best_film": names[best],
                "best_film_holds": bool(holds[best, k]),
            }
        )
    return {"summary": _summary(rows), **_failures(rows), "texts": rows}


def _agreement(source: str, reward: np.ndarray, judge: np.ndarray, holds: np.ndarray) -> dict[str, float]:
    """What two scores `[films]` and a predicate say of the same films; NaN where there is nothing to compare."""
    return {
        f"{source}_that_hold": int(holds.sum()),
        f"{source}_reward_auc": auc(reward, holds),
        f"{source}_judge_auc": auc(judge, holds),
        f"{source}_rank_correlation": float(np.asarray(spearmanr(reward, judge))[0]),
    }


def _failures(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    gamed = [r for r in rows if r["optimised_reward_over_best_film"] > 0 and not r["optimised_holds"]]
    return {
        "gamed": [r["text"] for r in gamed],
        "gamed_and_judge_fooled": [r["text"] for r in gamed if r["optimised_judge_rank"] > 0.9],
        "unordered": [r["text"] for r in rows if r["all_reward_auc"] < UNORDERED],
    }


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over the texts that have what is compared, and how many texts those are."""
    out: dict[str, float] = {"texts": len(rows)}
    for name in (name for name in rows[0] if name.endswith(("_auc", "_correlation"))):
        values = [row[name] for row in rows if np.isfinite(row[name])]
        out[name] = float(np.mean(values)) if values else float("nan")
        if name.endswith("reward_auc"):
            out[name.replace("reward_auc", "decide_texts")] = len(values)
    known = [row for row in rows if row["a_film_holds"]]
    return out | {
        "texts_with_an_auc_of_0.9": sum(row["all_reward_auc"] >= 0.9 for row in rows),
        "texts_with_a_film": len(known),
        "best_film_holds": sum(row["best_film_holds"] for row in known),
        "optimised_holds": sum(row["optimised_holds"] for row in rows),
        "optimised_over_every_film": sum(row["optimised_reward_over_best_film"] > 0 for row in rows),
        **{name: len(texts) for name, texts in _failures(rows).items()},
    }
