"""Known motions as a policy begins with them: for each instruction one whose moments its reward likes.

A latent that is held means a pose or a short movement. A wave or a sidestep is a sequence of them, which exploration
hardly finds: a policy that holds the best latent of the probe climbs from there to another pose. Where a movement
promises more than anything that was held, the policy begins by imitating it, from what it would see to the latents that
lead through it moment by moment (`Learning.imitate`); then it learns as all do. docs/experiments/movement-sentences.md.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.humanoid import CONTROL_DT, LATENT_STEPS, Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.clip.reward import RewardModel, window_of
from anyskill_brax.envs import observations
from anyskill_brax.high_level.eyes import Eyes
from anyskill_brax.high_level.reward import Goal, similarity
from anyskill_brax.high_level.settings import RewardSettings
from anyskill_brax.motion.io import Motion, resample_motion
from anyskill_brax.policies import LowLevelController

FRAMES = 300
"""How much of a motion counts, ten seconds."""
MOMENT = 15
"""Frames of movement, half a second, that an instruction must like for it to be chosen; shorter ones are left out."""
SOON = 10
"""Frames: a pose belongs to a movement if something moves within them. A pose that stays can as well be held."""
STILL = 0.5
"""[rad/s] of the fastest hinge, below which nothing moves."""
WORDS = 0.2
"""Weight of a motion's captions beside its moments: of two that earn about as much, the one that is called so."""


@struct.dataclass
class Repertoire:
    """M motions at the control rate, F frames each, padded with their last."""

    latents: jax.Array  # [M, F, L] unit, of the window that follows
    norm_obs: jax.Array  # [M, F, O] what a policy sees there
    seen: jax.Array  # [M, F, D] unit, what the reward model makes of the latent steps that end there
    moves: jax.Array  # [M, F] bool: chosen for and imitated; no padding, nor standing before a movement: it would stay
    captions: jax.Array  # [M, C, D] as the reward model embeds them; a motion without any has its name
    names: tuple[str, ...] = struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        character: Character,
        low_level: LowLevelController,
        model: RewardModel,
        eyes: Eyes,
        motions: Sequence[Motion],
    ) -> "Repertoire | None":
        """None without a motion of half a second, or for a model of pictures: to it a motion is as dear as training."""
        kept = [resample_motion(character, motion, 1.0 / CONTROL_DT) for motion in motions]
        kept = [motion for motion in kept if motion.num_frames >= MOMENT]
        if not kept or model.needs_images:
            return None
        window, steps = low_level.style.encoder_frames, window_of(model)
        length = np.array([min(motion.num_frames, FRAMES) for motion in kept], np.int32)
        frames = int(length.max())
        every = np.arange(frames)

        @jax.jit
        def read(
            low_level: LowLevelController, eyes: Eyes, qpos: jax.Array, qvel: jax.Array, length: jax.Array
        ) -> tuple[jax.Array, ...]:
            bodies = forward_kinematics(character, qpos, qvel)
            disc = observations.disc_frame(character, bodies, qvel[:, 6:])
            ahead = jnp.clip(every[:, None] + np.arange(1, window + 1), 0, length - 1)
            latents = low_level.style.encode(disc[ahead].reshape(frames, -1))
            past = np.maximum(every + LATENT_STEPS * np.arange(1 - steps, 1)[:, None], 0)
            seen = eyes.recall(jax.tree.map(lambda x: x[past], bodies))
            speed = jnp.abs(qvel[:, 6:]).max(axis=-1)
            coming = jnp.minimum(every[:, None] + np.arange(SOON), length - 1)
            moves = (speed[coming].max(axis=-1) > STILL) & (every < length)
            return latents, low_level.normalizer(observations.observe(bodies)), seen, moves

        rows = [np.minimum(every, n - 1) for n in length]
        parts = [read(low_level, eyes, m.qpos[r], m.qvel[r], n) for m, r, n in zip(kept, rows, length, strict=True)]
        latents, norm_obs, seen, moves = (jnp.stack(column) for column in zip(*parts, strict=True))
        names = tuple(motion.name for motion in kept)
        return cls(latents, norm_obs, seen, moves, _captions(model, kept), names)

    def choose(self, goal: Goal, held: jax.Array, settings: RewardSettings) -> jax.Array:
        """`[]` int32: the motion of the best half second, with a glance at its captions; -1 where what is held scores
        as well, `held []`."""
        score = jnp.where(self.moves, similarity(self.seen, goal, settings), -1.0)
        promise = jax.lax.top_k(score, MOMENT)[0].mean(axis=-1)
        best = jnp.argmax(promise + WORDS * (self.captions @ goal.text).max(axis=-1))
        return jnp.where(promise[best] > held, best, -1).astype(jnp.int32)


def _captions(model: RewardModel, motions: Sequence[Motion]) -> jax.Array:
    """`[M, C, D]`; a motion with fewer captions than others has its first more than once."""
    texts = [[text[:100] for text in motion.captions if any(map(str.isalnum, text))] for motion in motions]
    texts = [own or [f"motion {motion.name.replace('_', ' ')}"] for own, motion in zip(texts, motions, strict=True)]
    most = max(map(len, texts))
    padded = [own[k] if k < len(own) else own[0] for own in texts for k in range(most)]
    return jnp.asarray(model.embed_text(padded)).reshape(len(motions), most, -1)
