"""How a reward model sees the worlds: render and encode, or encode the pose itself."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.clip.reward import FeatureWindow, RewardModel, mean_feature, stillness, window_of
from anyskill_brax.clip.towers import still_features
from anyskill_brax.envs.latent_env import per_instruction
from anyskill_brax.high_level.reward import one_view
from anyskill_brax.high_level.settings import RewardSettings
from anyskill_brax.render.camera import follow_camera
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.render.scene import Look
from anyskill_brax.types import UserError

Render = Callable[[BodyState], jax.Array]
"""Bodies of W worlds -> images `[W, H, W, 3]` float32 in 0..1: one camera. Of poses that are not numbers, NaN, which
every encoder answers with zeros."""
AZIMUTHS = (0.6, 0.6 - math.pi / 2, -0.2, 0.6 - math.pi, 0.6 + math.pi / 2)
"""[rad] from straight in front of the figure to its left: half-left, half-right, front, and two from behind, which
the built-in model of pictures has never seen a body from."""


@struct.dataclass
class Memory:
    """What was seen of worlds of late, where somebody looks at it; None where nobody does."""

    window: FeatureWindow | None = None  # for a model that sees movement: its features of the last states
    instants: FeatureWindow | None = None  # for the stillness term: what each state was like, `[..., N, D]`


@struct.dataclass
class Eyes:
    """`embed_state` of the method: the mean feature over the camera `views`, or the pose encoder's.

    For a `reward` with a pessimistic ensemble, the features of V views one after the other, `[..., V * D]`.
    The weights of a model that is a pytree are arguments of the jitted program; in a closure they would be constants.
    """

    weights: list[jax.Array]
    shell: Any = struct.field(pytree_node=False)  # the model without its weights: a tree structure, or all of it
    views: tuple[Render, ...] = struct.field(pytree_node=False)
    axis: str = struct.field(pytree_node=False)
    reward: RewardSettings | None = struct.field(pytree_node=False)  # None where nothing is trained

    @classmethod
    def create(
        cls, model: RewardModel, views: Sequence[Render], axis: str, reward: RewardSettings | None = None
    ) -> "Eyes":
        if model.needs_images and not views:
            raise UserError(f"the reward model {model.name} reads images: give at least one camera view")
        leaves, structure = jax.tree.flatten(model)
        if all(isinstance(leaf, jax.Array) for leaf in leaves):
            return cls(leaves, structure, tuple(views), axis, reward)
        return cls([], model, tuple(views), axis, reward)

    def blank(self, bodies: BodyState) -> Memory:
        """The memory of worlds `[I, E]` that nobody has looked at; empty where nothing need be remembered."""
        model: Any = self._model()
        lead, frames = bodies.pos.shape[:-2], window_of(model)

        def empty(frames: int, size: int) -> FeatureWindow:
            return FeatureWindow(jnp.zeros((*lead, frames, size)), jnp.zeros(lead, jnp.int32))

        memory = Memory()
        if frames > 1:
            memory = Memory(empty(frames, jax.eval_shape(model.state_features, bodies).shape[-1]))
        if self.reward is not None and self.reward.pays("stillness"):
            memory = memory.replace(instants=empty(self.reward.stillness_frames, model.dim))
        return memory

    def see(self, memory: Memory, bodies: BodyState, fresh: jax.Array) -> tuple[Memory, jax.Array]:
        """One latent step later: bodies `[I, E, B, ...]` -> memory, unit features `[I, E, D]`.

        Where `fresh [I, E]` this is the first step of an episode, and what came before is forgotten.
        """
        if memory.window is None:
            instant = features = self.embed_state(bodies)
            window = None
        else:
            window, features = per_instruction(self._look, self.axis)(memory.window, bodies, fresh)
            instant = self.embed_state(bodies) if memory.instants is not None else features
        if memory.instants is None:
            return Memory(window), features

        def remember(instants: FeatureWindow, instant: jax.Array, fresh: jax.Array) -> FeatureWindow:
            return instants.push(one_view(instant, self._model().dim), fresh)

        return Memory(window, per_instruction(remember, self.axis)(memory.instants, instant, fresh)), features

    def stillness(self, memory: Memory) -> jax.Array | None:
        """How still each world holds, `[I, E]` in 0..1; None where the reward does not ask."""
        if memory.instants is None or self.reward is None:
            return None
        spread = self.reward.moving_spread
        return per_instruction(lambda instants: stillness(instants, spread), self.axis)(memory.instants)

    def watch(self, bodies: BodyState) -> jax.Array:
        """Whole episodes `[T, E, B, ...]` -> what is seen at every latent step `[T, E, D]`."""
        model: Any = self._model()
        frames = window_of(model)
        if frames == 1:
            return self.embed_state(bodies)
        features = model.state_features(bodies)
        rows = jnp.arange(len(features))[:, None] + jnp.arange(1 - frames, 1)
        return model.embed_window(jnp.moveaxis(features[jnp.maximum(rows, 0)], 1, 2))

    def recall(self, bodies: BodyState) -> jax.Array:
        """The last `window_of` latent steps `[N, W, B, ...]` of worlds, oldest first -> unit features `[W, D]`."""
        model: Any = self._model()
        if window_of(model) == 1:
            return self.embed_state(jax.tree.map(lambda x: x[-1:], bodies))[0]
        return model.embed_window(jnp.moveaxis(model.state_features(bodies), 0, 1))

    def embed_state(self, bodies: BodyState, needed: jax.Array | None = None) -> jax.Array:
        """Bodies `[I, E, B, ...]` -> unit features `[I, E, D]`, of this instant alone.

        With "map" each instruction's worlds are rendered and encoded on their own (see `per_instruction`); with "vmap"
        all `W = I x E` worlds are one render batch and one encoder batch, which is what an accelerator wants.

        Where `needed [I]` is given, the features of the other instructions may be anything and are not paid for: with
        "map" each of those is spared, with "vmap" all are when none is needed.
        """
        if self.axis == "map":
            if needed is None:
                return per_instruction(self._embed, self.axis)(bodies)
            return per_instruction(lambda yes, bodies: _if(yes, self._embed, bodies), self.axis)(needed, bodies)
        lead = bodies.pos.shape[:2]
        bodies = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), bodies)
        flat = self._embed(bodies) if needed is None else _if(needed.any(), self._embed, bodies)
        return flat.reshape(*lead, -1)

    def _look(self, window: FeatureWindow, bodies: BodyState, fresh: jax.Array) -> tuple[FeatureWindow, jax.Array]:
        model: Any = self._model()
        window = window.push(model.state_features(bodies), fresh)
        return window, model.embed_window(window.features)

    def _model(self) -> RewardModel:
        return jax.tree.unflatten(self.shell, self.weights) if self.weights else self.shell

    def _embed(self, bodies: BodyState) -> jax.Array:
        model = self._model()
        if not model.needs_images:
            return model.embed_poses(bodies)
        features = [model.embed_images(render(bodies)) for render in self.views]
        if self.reward is not None and self.reward.ensemble_pessimism > 0.0:
            return jnp.concatenate(features, axis=-1)
        return features[0] if len(features) == 1 else mean_feature(jnp.stack(features, axis=-2))


def sight_features(character: Character, bodies: BodyState) -> jax.Array:
    """All that a picture by a following camera depends on, `[..., 55]`: what a surrogate of the encoder sees.

    `still_features`; then how sun and floor lie around the figure, which the encoders do notice: cosine and sine of the
    heading, and of the root's place within the checker's period, along x and y.
    """
    heading = rotations.heading(bodies.rot[..., 0, :])[..., None]
    place = bodies.pos[..., 0, :2] * (math.pi / Look().tile)
    angles = jnp.concatenate([heading, place], axis=-1)
    return jnp.concatenate([still_features(character, bodies), jnp.cos(angles), jnp.sin(angles)], axis=-1)


def _if(yes: jax.Array, embed: Callable[[BodyState], jax.Array], bodies: BodyState) -> jax.Array:
    """`embed(bodies)`, or zeros of its shape at no cost."""
    like: Any = jax.eval_shape(embed, bodies)
    return jax.lax.cond(yes, embed, lambda _: jnp.zeros(like.shape, like.dtype), bodies)


def camera_views(character: Character, image_size: int, num_views: int) -> tuple[Render, ...]:
    """Cameras that follow the character, the first so many of AZIMUTHS."""
    if not 1 <= num_views <= len(AZIMUTHS):
        raise UserError(f"num_views is {num_views}; expected 1 to {len(AZIMUTHS)} cameras")
    render = make_renderer(character, image_size, image_size)

    def view(azimuth: float) -> Render:
        def shoot(bodies: BodyState) -> jax.Array:
            picture = render(bodies, follow_camera(bodies, azimuth))
            assert picture.rgb is not None
            return jnp.where(picture.valid[..., None, None, None], picture.rgb, jnp.nan)

        return shoot

    return tuple(map(view, AZIMUTHS[:num_views]))
