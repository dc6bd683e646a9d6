"""The image model, distilled from the pose model: what the pose tower says of a body at rest, read from its picture.

    L = 4 (1 - z_image . z_pose) + w InfoNCE(z_image, z_pose) + h |where the bodies are - where they are read off|^2

The teacher sees the poses without their velocities, as one picture does. Every pass photographs the poses anew: from
another side, elsewhere on the floor, facing elsewhere, some in the mirror. Beside random poses it is shown those that
an optimiser would come by: what a search for phrases tries on its way, first through the teacher's eyes and then, a
few times in the course of training, through the model's own. Reading off where the bodies are is a hint for training;
the model does not keep it.
"""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from anyskill_brax.character.humanoid import Character
from anyskill_brax.clip.builtin import BuiltinImage, BuiltinPose, tensors_of
from anyskill_brax.clip.towers import ImageTower, still_features
from anyskill_brax.reward_model.lessons import Block, DistillSettings, Plan, Search
from anyskill_brax.reward_model.optimise import Grade, asked_poses
from anyskill_brax.reward_model.pauses import Pauses
from anyskill_brax.reward_model.phrases import phrases_of
from anyskill_brax.reward_model.pictures import at_rest, embed_views, make_camera
from anyskill_brax.reward_model.poses import in_chunks, mirror
from anyskill_brax.types import Params


@struct.dataclass
class Progress:
    """Everything that a checkpoint holds."""

    done: jax.Array  # [] int32 pieces: a round of a search or a block each
    params: Params  # of the tower
    moments: Any
    asked: jax.Array  # [S, K * T, 35] what each search kept; zeros where it is still to come
    grades: jax.Array  # [R, K, P] of the search under way, round by round
    hint_mean: jax.Array  # [H] over the first pool
    hint_std: jax.Array  # [H]
    near: jax.Array  # [] cosine to the teacher, mean over the pass so far


def distil_image_model(
    character: Character,
    settings: DistillSettings,
    teacher: BuiltinPose,
    qpos: np.ndarray,
    log: Callable[[str], None],
    pauses: Pauses,
) -> BuiltinImage:
    """An image model in the space of `teacher`, from pictures of `qpos [N, 35]` and of poses that phrases ask for.

    Its text side is the teacher's. What is resumed ends in the same bits: a piece depends on the settings and on the
    progress before it alone. `Stopped` where `pauses` say so.
    """
    course = Course(character, settings, teacher, qpos, log, pauses)
    found = pauses.resume(jax.eval_shape(course.begin))
    progress = course.begin() if found is None else found
    for lesson in course.plan:  # from the first, for the sake of what is drawn
        if int(progress.done) >= lesson.end:
            continue
        progress = course.ask(progress, lesson) if isinstance(lesson, Search) else course.study(progress, lesson)
    pauses(progress, int(progress.done), "done", 1.0)
    return frozen(settings, teacher, progress.params)


def identity(settings: DistillSettings, teacher: BuiltinPose, qpos: np.ndarray) -> dict[str, Any]:
    """What a run's folder belongs to."""
    poses = hashlib.sha256(np.ascontiguousarray(qpos).tobytes()).hexdigest()
    return {**asdict(settings), "teacher_sha256": teacher.sha256, "poses_sha256": poses}


class Course:
    """What stays the same from the first piece to the last, and the two kinds of lessons."""

    def __init__(
        self,
        character: Character,
        settings: DistillSettings,
        teacher: BuiltinPose,
        qpos: np.ndarray,
        log: Callable[[str], None],
        pauses: Pauses,
    ):
        self._character, self._settings, self._teacher, self._qpos = character, settings, teacher, qpos
        self._log, self._pauses = log, pauses
        self._texts = list(phrases_of(teacher.config()["phrases_part"]))
        self.plan = Plan(settings, len(qpos), len(self._texts))
        self._key_asked, self._key_init, self._key_passes = jax.random.split(jax.random.key(settings.seed), 3)
        self._shoot = make_camera(character, settings)
        self._hint_of = jax.jit(lambda qpos: still_features(character, at_rest(character, qpos)))
        self._goal_of = jax.jit(lambda qpos: teacher.embed_poses(at_rest(character, qpos)))
        self._num_hints: int = jax.eval_shape(self._hint_of, qpos[:1]).shape[-1]
        self._tower = ImageTower(settings.convs, settings.widths, teacher.dim, num_hints=self._num_hints)
        updates = self.plan.blocks * (settings.block // settings.batch)
        self._optimiser, self._update = make_update(settings, self._tower, updates)

    def begin(self) -> Progress:
        """Nothing asked, nothing learnt."""
        plan, size, search = self.plan, self._settings.image_size, self._settings.search
        params: Any = self._tower.init(self._key_init, jnp.zeros((1, size, size, 3)))["params"]
        return Progress(
            done=jnp.zeros((), jnp.int32),
            params=params,
            moments=self._optimiser.init(params),
            asked=jnp.zeros((self._settings.searches, plan.asked, self._qpos.shape[-1])),
            grades=jnp.zeros((search.rounds, plan.phrases, search.population)),
            hint_mean=jnp.zeros(self._num_hints),
            hint_std=jnp.zeros(self._num_hints),
            near=jnp.zeros(()),
        )

    def ask(self, progress: Progress, lesson: Search) -> Progress:
        """A search through the teacher or the model as it is; the poses join the pool. The first sets the hints' scale.

        A search that was interrupted is done again, but for the grades that it had got.
        """
        settings, rounds = self._settings, itertools.count()
        key, embed = self._key_asked, self._teacher.embed_poses
        if lesson.number:
            key = jax.random.fold_in(key, lesson.turn)
            embed = embed_views(self._character, settings, frozen(settings, self._teacher, progress.params), key)

        def remembered(grade: Grade) -> Grade:
            def answer(free: jax.Array, goals: jax.Array) -> jax.Array:
                nonlocal progress
                number = next(rounds)
                if number == int(progress.done) - lesson.first:
                    self._pause(progress, lesson, number)
                    grades = _placed(progress.grades, number, grade(free, goals))
                    progress = progress.replace(done=progress.done + 1, grades=grades)
                return progress.grades[number]

            return answer

        goals = np.asarray(self._teacher.embed_text([self._texts[i] for i in lesson.phrases]))
        found = asked_poses(self._character, embed, goals, settings.search, settings.tries, key, remembered)
        progress = progress.replace(asked=_placed(progress.asked, lesson.number, found))
        if lesson.number == 0:
            pool = np.concatenate([self._qpos, found])
            self._log(f"{len(pool)} poses, {len(found)} of them asked for")
            known = in_chunks(self._hint_of, pool)
            progress = progress.replace(hint_mean=known.mean(axis=0), hint_std=known.std(axis=0) + 1e-6)
        return progress

    def study(self, progress: Progress, lesson: Block) -> Progress:
        """New pictures of some poses, and one update for every batch of them."""
        self._pause(progress, lesson)
        block, params, moments, nears = self._photographed(progress, lesson), progress.params, progress.moments, []
        for rows in lesson.batches:
            params, moments, near = self._update(params, moments, block, jnp.asarray(rows))
            nears.append(near)
        near = (lesson.index * float(progress.near) + np.mean(nears)) / (lesson.index + 1)
        if lesson.index + 1 == lesson.count:
            self._log(f"pass {lesson.turn + 1}/{self._settings.passes}  cosine to the teacher {near:.4f}")
        near = jnp.asarray(near, jnp.float32)
        return progress.replace(done=progress.done + 1, params=params, moments=moments, near=near)

    def _photographed(self, progress: Progress, lesson: Block) -> dict[str, jax.Array]:
        """A block `[N, ...]`: pictures, what the teacher says, where the bodies are."""
        pool = np.concatenate([self._qpos, np.asarray(progress.asked).reshape(-1, self._qpos.shape[-1])])
        chosen = pool[lesson.poses]
        flipped = mirror(self._character, chosen, np.zeros((len(chosen), 34), np.float32))[0]
        chosen = np.where(lesson.flipped, flipped, chosen).astype(np.float32)
        start = lesson.index * self._settings.block
        key = jax.random.fold_in(jax.random.fold_in(self._key_passes, lesson.turn), start)
        hints = (in_chunks(self._hint_of, chosen) - np.asarray(progress.hint_mean)) / np.asarray(progress.hint_std)
        return {
            "images": self._shoot(jnp.asarray(chosen), key),
            "goals": jnp.asarray(in_chunks(self._goal_of, chosen)),
            "hints": jnp.asarray(hints),
        }

    def _pause(self, progress: Progress, lesson: Search | Block, rounds: int = 0) -> None:
        """Before a lesson, or `rounds` into it."""
        settings, pictured = self._settings, lesson.pictured
        if isinstance(lesson, Search):
            pictured += rounds * lesson.glances
            where = f"search {lesson.number + 1}/{settings.searches}, {rounds / settings.search.rounds:.0%}"
        else:
            where = f"pass {lesson.turn + 1}/{settings.passes}, {lesson.index / lesson.count:.0%}"
            where += f", cosine {float(progress.near):.4f}" if lesson.index else ""
        self._pauses(progress, int(progress.done), where, pictured / self.plan.pictures)


def make_update(
    settings: DistillSettings, tower: ImageTower, updates: int
) -> tuple[optax.GradientTransformation, Callable]:
    """The optimiser, and a step of it on some rows of a block: `(params, moments, block, rows)`, cosine last."""
    schedule = optax.cosine_onecycle_schedule(updates, settings.learning_rate, pct_start=0.1)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=settings.weight_decay))

    @jax.jit
    def update(params: Any, moments: Any, block: dict[str, jax.Array], rows: jax.Array):
        batch = jax.tree.map(lambda x: x[rows], block)
        (_, near), grads = jax.value_and_grad(_loss, has_aux=True)(params, tower, settings, batch)
        step, moments = optimiser.update(grads, moments, params)
        return optax.apply_updates(params, step), moments, near

    return optimiser, update


def _loss(params: Any, tower: ImageTower, settings: DistillSettings, batch: dict[str, jax.Array]):
    """The module's loss, and the mean cosine to the teacher."""
    told: Any = tower.apply({"params": params}, batch["images"].astype(jnp.float32) / 255.0)
    feature, read = told
    near = jnp.sum(feature * batch["goals"], axis=-1).mean()
    logits = feature @ batch["goals"].T / settings.contrast_temperature
    contrast = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(len(feature))).mean()
    missed = jnp.mean((read - batch["hints"]) ** 2)
    return 4.0 * (1.0 - near) + settings.contrast_weight * contrast + settings.hint_weight * missed, near


def _placed(rows: jax.Array, number: int, row: jax.Array | np.ndarray) -> np.ndarray:
    """`rows`, one of them another."""
    out = np.array(rows)
    out[number] = row
    return out


def frozen(settings: DistillSettings, teacher: BuiltinPose, params: Any) -> BuiltinImage:
    """The tower without its hints, beside the teacher's text side."""
    keep = {
        *("format", "dim", "text", "character_sha256", "phrases_sha256", "phrases_part", "phrases"),
        *("neutral_words", "confidence", "motions"),
    }
    config = {key: value for key, value in teacher.config().items() if key in keep} | {
        "kind": "image",
        "name": "builtin-image",
        "image": {"convs": list(settings.convs), "widths": list(settings.widths)},
        "image_size": settings.image_size,
        "teacher_sha256": teacher.sha256,
        "training": asdict(settings),
    }
    text = {name: value for name, value in teacher.to_tensors().items() if name.startswith("text/")}
    params = {name: value for name, value in params.items() if name != "hints"}
    return BuiltinImage(config, {**text, **tensors_of(image=params)})
