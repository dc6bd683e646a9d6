"""What a trained encoder understands, measured: phrases it never saw, left against right, opposites, and the test that
counts for a reward: optimise a pose against a sentence, then ask geometry whether the pose is right."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.stats import rankdata

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.builtin import BuiltinModel, BuiltinPose
from anyskill_brax.clip.reward import embed_goals
from anyskill_brax.reward_model.optimise import climb, standing
from anyskill_brax.reward_model.phrases import antonyms, learnable, part_of, unrelated
from anyskill_brax.reward_model.posecodes import attribute_names, degrees
from anyskill_brax.reward_model.wording import swap_sides
from anyskill_brax.types import UserError

SENTENCES: dict[str, tuple[str, ...]] = {
    "raise both arms": ("both_arms_up",),
    "raise your left arm": ("left_arm_up",),
    "raise your right arm": ("right_arm_up",),
    "hold your arms out to the sides": ("arms_out",),
    "stretch both arms forward": ("arms_forward",),
    "cross your arms in front of the body": ("arms_crossed",),
    "put your hands on your hips": ("hands_on_hips",),
    "put your hands on your head": ("hands_on_head",),
    "bend forward at the waist": ("bow",),
    "squat down low": ("squat",),
    "kneel on both knees": ("kneel",),
    "stand with your feet wide apart": ("feet_wide",),
    "raise your left knee": ("left_knee_up",),
    "lift your right leg to the side": ("right_leg_out",),
    "lean to the left": ("lean_left",),
    "turn your head to the right": ("head_turn_right",),
    "raise your left arm and lunge with your right leg": ("left_arm_up", "right_lunge"),
    "squat with both arms forward": ("squat", "arms_forward"),
}
"""Sentences for the optimisation -> the attributes that must then hold."""


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive scores above a negative (Mann-Whitney); nan without both kinds."""
    count, total = int(positive.sum()), len(positive)
    if count in (0, total):
        return float("nan")
    return float((rankdata(scores)[positive].sum() - count * (count + 1) / 2) / (count * (total - count)))


def _positives(shown: np.ndarray, names: Sequence[str], means: Sequence[str]) -> np.ndarray:
    return np.asarray(shown[:, [names.index(name) for name in means]].any(axis=1))


def phrase_scores(
    names: Sequence[str],
    model: BuiltinModel,
    features: np.ndarray,
    shown: np.ndarray,
    phrases: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Retrieval of `features [N, D]`, which show `shown [N, A]` bool, by phrases with their meanings.

    auc and precision of the ten best poses, means over phrases with at least ten poses for and against; sides: of
    poses that show a one-sided phrase, the share nearer to it than to its mirror image; opposites: the same for a
    phrase against one of the opposite attribute.
    """
    texts = list(phrases)
    text_features = dict(zip(texts, model.embed_text(texts)))
    mirrored = dict(zip(texts, model.embed_text([swap_sides(text) for text in texts])))
    opposite, speaker = antonyms(), {means[0]: text for text, means in phrases.items()}
    areas, tops, sides, opposites = [], [], [], []
    for text, means in phrases.items():
        positive = _positives(shown, names, means)
        if not 10 <= positive.sum() <= len(positive) - 10:
            continue
        scores = features @ text_features[text]
        areas.append(auc(scores, positive))
        tops.append(positive[np.argsort(-scores)[:10]].mean())
        if swap_sides(text) != text:
            sides.append((scores > features @ mirrored[text])[positive].mean())
        if len(means) == 1 and opposite.get(means[0]) in speaker:
            other = opposite[means[0]]
            clear = positive & ~_positives(shown, names, [other])
            if clear.sum() >= 10:
                opposites.append((scores > features @ text_features[speaker[other]])[clear].mean())
    found = {"auc": areas, "precision_at_10": tops, "sides": sides, "opposites": opposites}
    return {**{key: float(np.mean(values)) for key, values in found.items() if values}, "phrases": len(areas)}


def unseen_phrases(part: str) -> dict[str, tuple[str, ...]]:
    """The half of the vocabulary that a model of `part` did not learn from."""
    return {text: means for text, means in learnable().items() if part_of(text) != part}


def test_phrases(entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Phrases of a test file `{"entries": [{"id", "phrases"}]}` whose id is, or is listed as, an attribute."""
    same = {
        "hand_at_side": "arms_down",
        "left_arm_side": "left_arm_out",
        "right_arm_side": "right_arm_out",
        "sit_floor": "sit",
        "left_leg_up": "left_foot_up",
        "right_leg_up": "right_foot_up",
        "high_left_knee": "left_knee_up",
        "high_right_knee": "right_knee_up",
        "wide_stance": "feet_wide",
        "side_step_left": "sidestep_left",
        "side_step_right": "sidestep_right",
        "hop_one_leg": "hop",
        "clap": "clapping",
        "punch_right": "right_punch",
        "kick_right": "right_kick",
        "kick_left": "left_kick",
        "stand_up": "rise",
        "sit_down": "lower",
        "one_knee": ("left_knee_down", "right_knee_down"),
        "lunge": ("left_lunge", "right_lunge"),
        "wave": ("left_wave", "right_wave"),
        "march": ("left_march", "right_march"),
    }
    out = {}
    for entry in entries:
        means = same.get(entry["id"], entry["id"])
        means = (means,) if isinstance(means, str) else means
        if all(name in names for name in means):
            out.update({text: means for text in entry["phrases"]})
    if not out:
        raise UserError(f"no test phrase is about an attribute; expected ids such as {', '.join(names[:5])}")
    return out


def optimisation_check(character: Character, model: BuiltinPose) -> dict[str, Any]:
    """Which of `SENTENCES` an optimised pose satisfies by geometry, with the degree of its weakest attribute."""
    texts, names = list(SENTENCES), attribute_names(character)
    goals = jnp.asarray(embed_goals(model, texts))
    start = standing(character, len(texts))
    qpos = np.asarray(
        climb(character, model.embed_poses, goals, start, updates=400, learning_rate=0.03, stiffness=0.001)
    )
    shown = degrees(character, forward_kinematics(character, jnp.asarray(qpos), jnp.zeros((len(texts), 34))))
    degree = {text: float(min(shown[i, names.index(name)] for name in SENTENCES[text])) for i, text in enumerate(texts)}
    return {"passed": sum(d > 0.5 for d in degree.values()), "sentences": len(texts), "degree": degree}


TIME_PAIRS = {
    "forward_backward": ("walk_forward", "walk_backward"),
    "sit_stand": ("lower", "rise"),
    "turn_left_right": ("turn_left", "turn_right"),
    "step_left_right": ("sidestep_left", "sidestep_right"),
    "arms_rise_fall": ("raising_arms", "lowering_arms"),
}
"""Movements that only time tells apart."""


def time_scores(
    names: Sequence[str],
    model: BuiltinModel,
    features: np.ndarray,
    shown: np.ndarray,
    phrases: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Of windows that show one movement of a pair, the share nearer to its phrase than to one of the other movement.

    Every phrase of either against every phrase of the other; the mean over both directions. wave_arm_up: the AUC of
    waving against windows in which the same hand is up and does not wave.
    """
    said: dict[str, list[str]] = {}
    for text, means in phrases.items():
        for name in means:
            said.setdefault(name, []).append(text)
    out = {}
    for pair, both in TIME_PAIRS.items():
        if not all(name in said for name in both):
            continue
        goals = [model.embed_text(said[name]) for name in both]
        shows = [_positives(shown, names, [name]) for name in both]
        shares = []
        for own, other in ((0, 1), (1, 0)):
            windows = features[shows[own] & ~shows[other]]
            if len(windows) >= 10:
                shares.append(((windows @ goals[own].T)[:, :, None] > (windows @ goals[other].T)[:, None, :]).mean())
        if shares:
            out[pair] = float(np.mean(shares))
    areas = []
    for side in ("left", "right"):
        wave, up = (_positives(shown, names, [f"{side}_{what}"]) for what in ("wave", "arm_up"))
        texts = [text for text in said.get(f"{side}_wave", ()) if side in text]
        rows = wave | up
        if texts and 10 <= wave.sum() <= rows.sum() - 10:
            areas += [auc(features[rows] @ goal, wave[rows]) for goal in model.embed_text(texts)]
    return out | ({"wave_arm_up": float(np.mean(areas))} if areas else {})


def confidence_scores(model: BuiltinModel, part: str) -> dict[str, float]:
    """Mean confidence of unseen phrases about poses and of sentences about anything else, and their separation.

    Measured on the half of both that the calibration did not use.
    """
    known = model.text_confidence(list(unseen_phrases(part))[1::2])
    alien = model.text_confidence(list(unrelated())[1::2])
    both, labels = np.concatenate([known, alien]), np.arange(len(known) + len(alien)) < len(known)
    return {"unseen_phrases": float(known.mean()), "unrelated": float(alien.mean()), "auc": auc(both, labels)}
