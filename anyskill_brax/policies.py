"""What inference needs, and nothing else: frozen parameters, their normaliser, and the shape that reads them.

Every class converts to and from plain data (`config()`, `to_tensors()`, `from_tensors()`): that is what a zoo stores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util

from anyskill_brax.networks import Actor, Discriminator, Encoder, LatentHead, Normalizer, unit
from anyskill_brax.types import Params, PolicyState, PRNGKey, UserError


def flatten_tensors(tree: Any) -> dict[str, np.ndarray]:
    """Nested dicts of arrays -> {"a/b/c": float32 array}."""
    flat = traverse_util.flatten_dict(tree, sep="/")
    return {name: np.asarray(value, np.float32) for name, value in flat.items()}


def unflatten_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return traverse_util.unflatten_dict({k: jnp.asarray(v) for k, v in tensors.items()}, sep="/")


def _normalizer_tree(normalizer: Normalizer) -> dict[str, jax.Array]:
    return {"mean": normalizer.mean, "var": normalizer.var, "count": normalizer.count}


def _read(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], keys: Sequence[str]) -> dict[str, Any]:
    tree = unflatten_tensors(tensors)
    missing = [k for k in keys if k not in tree]
    if missing:
        raise UserError(f"weights lack {', '.join(missing)}; they hold {', '.join(sorted(tree)) or 'nothing'}")
    return tree


@struct.dataclass
class StyleJudge:
    """The frozen discriminator and encoder of a low-level controller: style reward, latents of motions.

    ASE's discriminator looks at a window alone and shares it with the encoder. A conditional one (CALM, AnySkill) also
    reads the latent, and its encoder looks at a longer window, which has its own normaliser.
    """

    disc_params: Params
    encoder_params: Params
    normalizer: Normalizer  # of disc_obs windows [N * 125]
    disc_widths: tuple[int, ...] = struct.field(pytree_node=False)
    encoder_widths: tuple[int, ...] = struct.field(pytree_node=False)
    latent_dim: int = struct.field(pytree_node=False)
    num_frames: int = struct.field(pytree_node=False)
    conditional: bool = struct.field(pytree_node=False, default=False)
    disc_style_widths: tuple[int, ...] = struct.field(pytree_node=False, default=())
    encoder_normalizer: Normalizer | None = None  # of encoder windows [E * 125]; None: `normalizer`, E = N

    @property
    def encoder_frames(self) -> int:
        """E, length of the window that `encode` reads."""
        longer = self.encoder_normalizer
        return self.num_frames if longer is None else longer.mean.size * self.num_frames // self.normalizer.mean.size

    def style_reward(self, disc_obs: jax.Array, latent: jax.Array | None = None) -> jax.Array:
        """r_D = -2 log max(1 - sigma(D(x)), 1e-4) of windows `[..., N * 125]` (ASE eq. 11, as released: scale 2).

        A conditional discriminator judges them as performances of `latent [..., L]` and raises `UserError` without.
        """
        if self.conditional and latent is None:
            raise UserError("this controller's discriminator is conditional: style_reward needs the latent as well")
        disc: Any = Discriminator(self.disc_widths, self.disc_style_widths)
        logit = disc.apply(self.disc_params, self.normalizer(disc_obs), latent if self.conditional else None)
        return style_reward_from_logit(logit)

    def encode(self, windows: jax.Array) -> jax.Array:
        """Windows `[..., E * 125]` -> latents `[..., L]`, unit."""
        encoder: Any = Encoder(self.latent_dim, self.encoder_widths)
        normalize = self.normalizer if self.encoder_normalizer is None else self.encoder_normalizer
        return encoder.apply(self.encoder_params, normalize(windows))

    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "disc_widths": list(self.disc_widths),
            "encoder_widths": list(self.encoder_widths),
            "latent_dim": self.latent_dim,
            "num_frames": self.num_frames,
        }
        # Only where it is: what ASE's controllers look like on disk stays as it was.
        if self.conditional:
            config |= {"conditional": True, "disc_style_widths": list(self.disc_style_widths)}
        return config

    def to_tensors(self) -> dict[str, np.ndarray]:
        tree = {
            "disc": self.disc_params,
            "encoder": self.encoder_params,
            "normalizer": _normalizer_tree(self.normalizer),
        }
        if self.encoder_normalizer is not None:
            tree["encoder_normalizer"] = _normalizer_tree(self.encoder_normalizer)
        return flatten_tensors(tree)

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> "StyleJudge":
        tree = _read(config, tensors, ("disc", "encoder", "normalizer"))
        longer = tree.get("encoder_normalizer")
        return cls(
            disc_params=tree["disc"],
            encoder_params=tree["encoder"],
            normalizer=Normalizer(**tree["normalizer"]),
            disc_widths=tuple(config["disc_widths"]),
            encoder_widths=tuple(config["encoder_widths"]),
            latent_dim=int(config["latent_dim"]),
            num_frames=int(config["num_frames"]),
            conditional=bool(config.get("conditional", False)),
            disc_style_widths=tuple(config.get("disc_style_widths", ())),
            encoder_normalizer=None if longer is None else Normalizer(**longer),
        )


def style_reward_from_logit(logit: jax.Array) -> jax.Array:
    return -2.0 * jnp.log(jnp.maximum(1.0 - jax.nn.sigmoid(logit), 1e-4))


@struct.dataclass
class LowLevelController:
    """(obs, latent) -> action: the frozen controller that every skill stands on (ASE, low level).

    `style` carries the discriminator and encoder it was trained with; `motion_latents [N, L]` are the latents of its
    training motions (mean over each clip's windows), unit rows, with their names: known good places on the sphere.
    """

    params: Params
    normalizer: Normalizer  # of obs [223]
    style: StyleJudge
    motion_latents: jax.Array
    motion_names: tuple[str, ...] = struct.field(pytree_node=False)
    obs_dim: int = struct.field(pytree_node=False)
    action_dim: int = struct.field(pytree_node=False)
    latent_dim: int = struct.field(pytree_node=False)
    widths: tuple[int, ...] = struct.field(pytree_node=False)
    style_widths: tuple[int, ...] = struct.field(pytree_node=False)
    character_sha256: str = struct.field(pytree_node=False)
    name: str = struct.field(pytree_node=False, default="")

    def act(self, obs: jax.Array, latent: jax.Array) -> jax.Array:
        """Mean action `[..., 28]` for `obs [..., 223]` and unit `latent [..., L]`."""
        actor: Any = Actor(self.action_dim, self.widths, self.style_widths)
        return actor.apply(self.params, self.normalizer(obs), latent)

    def __repr__(self) -> str:
        return (
            f"LowLevelController({self.name or 'unnamed'}: obs {self.obs_dim}, latent {self.latent_dim} -> "
            f"action {self.action_dim}; actor {list(self.widths)}, {len(self.motion_names)} known latents)"
        )

    def config(self) -> dict[str, Any]:
        return {
            "obs_dim": self.obs_dim,
            "action_dim": self.action_dim,
            "latent_dim": self.latent_dim,
            "widths": list(self.widths),
            "style_widths": list(self.style_widths),
            "character_sha256": self.character_sha256,
            "motion_names": list(self.motion_names),
            "name": self.name,
            "style": self.style.config(),
        }

    def to_tensors(self) -> dict[str, np.ndarray]:
        tree = {
            "actor": self.params,
            "normalizer": _normalizer_tree(self.normalizer),
            "motion_latents": self.motion_latents,
        }
        style = {f"style/{name}": value for name, value in self.style.to_tensors().items()}
        return flatten_tensors(tree) | style

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> "LowLevelController":
        tree = _read(config, tensors, ("actor", "normalizer", "motion_latents", "style"))
        style = {k.removeprefix("style/"): v for k, v in tensors.items() if k.startswith("style/")}
        return cls(
            params=tree["actor"],
            normalizer=Normalizer(**tree["normalizer"]),
            style=StyleJudge.from_tensors(config["style"], style),
            motion_latents=tree["motion_latents"],
            motion_names=tuple(config["motion_names"]),
            obs_dim=int(config["obs_dim"]),
            action_dim=int(config["action_dim"]),
            latent_dim=int(config["latent_dim"]),
            widths=tuple(config["widths"]),
            style_widths=tuple(config["style_widths"]),
            character_sha256=str(config["character_sha256"]),
            name=str(config.get("name", "")),
        )


@struct.dataclass
class HighLevelPolicy:
    """obs -> latent for one instruction (AnySkill, high level); a `LatentPolicy` without memory."""

    params: Params
    normalizer: Normalizer  # of obs [223]
    latent_dim: int = struct.field(pytree_node=False)
    widths: tuple[int, ...] = struct.field(pytree_node=False)

    def init(self, key: PRNGKey) -> PolicyState:
        del key
        return ()

    def act(self, state: PolicyState, obs: jax.Array) -> tuple[jax.Array, PolicyState]:
        """z = a / |a|, a = tanh(net(obs)): the mean action."""
        head: Any = LatentHead(self.latent_dim, self.widths)
        return unit(head.apply(self.params, self.normalizer(obs), jnp.zeros((*obs.shape[:-1], 0)))), state

    def config(self) -> dict[str, Any]:
        return {"latent_dim": self.latent_dim, "widths": list(self.widths)}

    def to_tensors(self) -> dict[str, np.ndarray]:
        return flatten_tensors({"actor": self.params, "normalizer": _normalizer_tree(self.normalizer)})

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> "HighLevelPolicy":
        tree = _read(config, tensors, ("actor", "normalizer"))
        return cls(
            params=tree["actor"],
            normalizer=Normalizer(**tree["normalizer"]),
            latent_dim=int(config["latent_dim"]),
            widths=tuple(config["widths"]),
        )


@struct.dataclass
class MultiSkillPolicy:
    """(obs, text embedding) -> latent: many skills in one network, told apart by the embedding of their instruction."""

    params: Params
    normalizer: Normalizer  # of obs [223]
    text_embeddings: jax.Array  # [K, D] of the instructions it was distilled from
    instructions: tuple[str, ...] = struct.field(pytree_node=False)
    latent_dim: int = struct.field(pytree_node=False)
    widths: tuple[int, ...] = struct.field(pytree_node=False)
    reward_model_sha256: str = struct.field(pytree_node=False, default="")

    def __repr__(self) -> str:
        return f"MultiSkillPolicy({len(self.instructions)} instructions: {', '.join(map(repr, self.instructions))})"

    def init(self, key: PRNGKey) -> PolicyState:
        """Starts on its first instruction; use `for_text` or `for_instruction` to choose."""
        del key
        return self.text_embeddings[0]

    def act(self, state: PolicyState, obs: jax.Array) -> tuple[jax.Array, PolicyState]:
        """`state` is the text embedding `[D]` being followed."""
        return self.latent(obs, state), state

    def latent(self, obs: jax.Array, text_embedding: jax.Array) -> jax.Array:
        """`obs [..., 223]`, `text_embedding [..., D]` -> unit `[..., L]`."""
        head: Any = LatentHead(self.latent_dim, self.widths)
        return unit(head.apply(self.params, self.normalizer(obs), text_embedding))

    def for_text(self, text_embedding: jax.Array) -> "ConditionedPolicy":
        """The policy that follows one text, given its embedding `[D]` by the reward model named in the manifest."""
        return ConditionedPolicy(multi=self, text_embedding=jnp.asarray(text_embedding))

    def for_instruction(self, instruction: str) -> "ConditionedPolicy":
        """The policy that follows one of the instructions it was distilled from."""
        if instruction not in self.instructions:
            raise UserError(f"instruction {instruction!r} is not among {', '.join(map(repr, self.instructions))}")
        return self.for_text(self.text_embeddings[self.instructions.index(instruction)])

    def config(self) -> dict[str, Any]:
        return {
            "latent_dim": self.latent_dim,
            "widths": list(self.widths),
            "instructions": list(self.instructions),
            "reward_model_sha256": self.reward_model_sha256,
        }

    def to_tensors(self) -> dict[str, np.ndarray]:
        tree = {
            "actor": self.params,
            "normalizer": _normalizer_tree(self.normalizer),
            "text_embeddings": self.text_embeddings,
        }
        return flatten_tensors(tree)

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> "MultiSkillPolicy":
        tree = _read(config, tensors, ("actor", "normalizer", "text_embeddings"))
        return cls(
            params=tree["actor"],
            normalizer=Normalizer(**tree["normalizer"]),
            text_embeddings=tree["text_embeddings"],
            instructions=tuple(config["instructions"]),
            latent_dim=int(config["latent_dim"]),
            widths=tuple(config["widths"]),
            reward_model_sha256=str(config["reward_model_sha256"]),
        )


@struct.dataclass
class ConditionedPolicy:
    """A multi-skill policy bound to one text: a `LatentPolicy` like any skill."""

    multi: MultiSkillPolicy
    text_embedding: jax.Array  # [D]

    def init(self, key: PRNGKey) -> PolicyState:
        del key
        return ()

    def act(self, state: PolicyState, obs: jax.Array) -> tuple[jax.Array, PolicyState]:
        return self.multi.latent(obs, self.text_embedding), state


@struct.dataclass
class HeldLatent:
    """One latent for ever: the simplest `LatentPolicy`."""

    latent: jax.Array  # [L]

    def init(self, key: PRNGKey) -> tuple[()]:
        del key
        return ()

    def act(self, state: tuple[()], obs: jax.Array) -> tuple[jax.Array, tuple[()]]:
        del obs
        return self.latent, state
