"""The arrays that a policy's config asks for, by name and shape.

Every load compares them with the arrays that are there. Tracing the networks would say the same, in ten times the time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anyskill_brax.policies import HighLevelPolicy, LowLevelController, MultiSkillPolicy
from skill_zoo.errors import CorruptArtifact

Shapes = dict[str, tuple[int, ...]]


def check_arrays(what: object, obj: Any, tensors: Mapping[str, np.ndarray], obs_dim: int) -> None:
    """`CorruptArtifact` unless a policy's arrays are exactly those of its config, for observations `[obs_dim]`."""
    wanted = controller_shapes(obj, tensors) if isinstance(obj, LowLevelController) else policy_shapes(obj, obs_dim)
    found = {name: array.shape for name, array in tensors.items()}
    if wrong := [name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]:
        expected, actual = ({name: shapes.get(name) for name in wrong[:4]} for shapes in (wanted, found))
        raise CorruptArtifact(what, f"arrays of the shapes {expected}", actual)


def controller_shapes(controller: LowLevelController, tensors: Mapping[str, np.ndarray]) -> Shapes:
    """The window that the discriminator sees is as long as its normaliser; all else follows from the config."""
    style, latent, styled = controller.style, controller.latent_dim, {}
    if widths := controller.style_widths:
        styled = _network("actor/params/style", latent, widths[:-1], "out", widths[-1])
        latent = widths[-1]
    window = tensors["style/normalizer/mean"].size
    return {
        **styled,
        **_network("actor/params", controller.obs_dim + latent, controller.widths, "mean", controller.action_dim),
        **_normalizer("normalizer", controller.obs_dim),
        **_network("style/disc/params", window, style.disc_widths, "logit", 1),
        **_network("style/encoder/params", window, style.encoder_widths, "direction", style.latent_dim),
        **_normalizer("style/normalizer", window),
        "motion_latents": (len(controller.motion_names), controller.latent_dim),
    }


def policy_shapes(policy: HighLevelPolicy | MultiSkillPolicy, obs_dim: int) -> Shapes:
    """A multi-skill policy's text embeddings are as long as they are, but one for each instruction."""
    texts: Shapes = {}
    if isinstance(policy, MultiSkillPolicy):
        texts = {"text_embeddings": (len(policy.instructions), policy.text_embeddings.shape[-1])}
    inputs = obs_dim + sum(shape[-1] for shape in texts.values())
    return {
        **_network("actor/params", inputs, policy.widths, "mean", policy.latent_dim),
        **_normalizer("normalizer", obs_dim),
        **texts,
    }


def _network(name: str, inputs: int, widths: Sequence[int], head: str, outputs: int) -> Shapes:
    """An `MLP` called trunk, and the linear layer behind it."""
    if not all(type(width) is int for width in (*widths, outputs)):
        raise ValueError(f"widths that are no whole numbers: {widths!r:.80}")
    shapes: Shapes = {}
    for layer, width in enumerate(widths):
        shapes |= _dense(f"{name}/trunk/layer_{layer}", inputs, width)
        inputs = width
    return shapes | _dense(f"{name}/{head}", inputs, outputs)


def _dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def _normalizer(name: str, size: int) -> Shapes:
    return {f"{name}/mean": (size,), f"{name}/var": (size,), f"{name}/count": ()}
