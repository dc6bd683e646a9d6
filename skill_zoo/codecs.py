"""Objects <-> the one weights file of an entry.

`weights.safetensors` is the whole object: its arrays, and in the metadata the class and config that read them. So one
sha256 pins everything that decides what a controller does. A class name found in a file is looked up in `CLASSES`,
never imported. Classes give `config()`, `to_tensors()` and `from_tensors(config, tensors)`.
"""

import functools
import hashlib
import importlib
import json
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError

from anyskill_brax.character.humanoid import CONTROL_DT, load_character
from anyskill_brax.envs.observations import obs_layout
from anyskill_brax.policies import ConditionedPolicy, HighLevelPolicy, MultiSkillPolicy
from anyskill_brax.types import UserError
from skill_zoo.errors import CorruptArtifact, InterfaceMismatch, SkillZooError
from skill_zoo.manifest import LowLevelRef, plain, strict_json
from skill_zoo.shapes import check_arrays
from skill_zoo.tensors import read_tensors, write_tensors

CLASSES = {
    "LowLevelController": ("low_level", "anyskill_brax.policies"),
    "Skill": ("skill", "anyskill_brax.skill"),
    "MultiSkillPolicy": ("multi_skill", "anyskill_brax.policies"),
    "BuiltinPose": ("reward_model", "anyskill_brax.clip.builtin"),
    "BuiltinImage": ("reward_model", "anyskill_brax.clip.builtin"),
}
"""Class -> (kind, module): what the zoo can hold."""
_TEXT = "text_embedding"


def kind_of(obj: Any) -> str:
    """The kind an object is saved as."""
    name = type(obj).__name__
    if CLASSES.get(name, ("", ""))[1] != type(obj).__module__:
        raise SkillZooError(f"cannot save a {type(obj).__module__}.{name}; the zoo holds {', '.join(CLASSES)}")
    return CLASSES[name][0]


def encode(obj: Any) -> bytes:
    """The weights file of an object; equal objects give equal bytes."""
    kind_of(obj)
    config, tensors = _to_plain(obj)
    text = json.dumps(plain(config), sort_keys=True, allow_nan=False)
    return write_tensors(tensors, {"class": type(obj).__name__, "config": text})


def weights_sha256(obj: Any) -> str:
    """Of a controller's networks and normalisers, whatever it is called: its motions' latents follow from them."""
    bare = obj.replace(name="", motion_latents=jnp.zeros_like(obj.motion_latents))
    return hashlib.sha256(encode(bare)).hexdigest()


def decode(data: bytes, kind: str, what: object, low_level: Any = None, pin: LowLevelRef | None = None) -> Any:
    """The object of a weights file; kinds that steer get their `low_level` controller and its `pin`."""
    tensors, metadata = read_tensors(data, what)
    name = metadata.get("class", "")
    if CLASSES.get(name, ("", ""))[0] != kind or set(metadata) != {"class", "config"}:
        raise CorruptArtifact(what, f"the class and config of a {kind}", metadata)
    config = strict_json(metadata["config"].encode("utf-8", "replace"), what)
    try:
        obj = _from_plain(name, config, tensors, low_level, pin)
        _check_fit(what, obj, tensors, low_level)
    except SkillZooError:
        raise
    except (FlaxError, UserError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CorruptArtifact(
            what, f"a {name} whose config fits its arrays", f"{type(error).__name__}: {error}"
        ) from error
    return obj


def tensors_to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Arrays that ride along with an entry, such as training.safetensors."""
    return write_tensors(tensors, {})


def tensors_from_bytes(data: bytes, what: object = "a tensor file") -> dict[str, np.ndarray]:
    """The arrays of a file written by `tensors_to_bytes`."""
    return read_tensors(data, what)[0]


def interface_of(obj: Any, kind: str, character: str) -> dict[str, Any]:
    """What goes into the manifest: for a controller (or the one under a skill) all that skills on it must agree on.

    A reward model that knows its character pins that; one that looks at images alone may know none.
    """
    here = character_interface(character)
    if kind == "reward_model":
        mine = {name: value for name, value in obj.config().items() if name == "character_sha256"}
        check_interface(mine, character, "the reward model")
        return mine
    mine = {name: getattr(obj, name) for name in ("obs_dim", "action_dim", "character_sha256")}
    check_interface(mine, character, "the controller")
    return {**here, "latent_dim": obj.latent_dim}


def check_interface(interface: Mapping[str, Any], character: str, what: object) -> None:
    """`InterfaceMismatch` unless a manifest's interface is the one of this version's character."""
    here = character_interface(character)
    theirs = {name: value for name, value in interface.items() if name in here and here[name] != value}
    if theirs:
        advice = f"{what} was made for another body; use the version of anyskill-brax named in its manifest."
        raise InterfaceMismatch(f"this version's {character} and {what}", {n: here[n] for n in theirs}, theirs, advice)


@functools.cache
def character_interface(character: str) -> dict[str, Any]:
    """The interface of a character of this version, as it stands in manifests (without `latent_dim`)."""
    if character != "humanoid":
        raise SkillZooError(f"no character {character!r} in this version; it has humanoid")
    body = load_character()
    layout = obs_layout(body)
    return {
        "action_dim": body.action_dim,
        "character_sha256": body.sha256,
        "control_dt": round(CONTROL_DT, 6),
        "obs_dim": sum(layout.values()),
        "obs_layout": [[name, size] for name, size in layout.items()],
    }


def _class(name: str) -> Any:
    return getattr(importlib.import_module(CLASSES[name][1]), name)


def _to_plain(obj: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if type(obj).__name__ != "Skill":
        return obj.config(), obj.to_tensors()
    policy = type(obj.policy).__name__
    if policy == "HighLevelPolicy":
        config, tensors = obj.policy.config(), obj.policy.to_tensors()
    elif policy == "ConditionedPolicy":
        config, tensors = obj.policy.multi.config(), obj.policy.multi.to_tensors()
        tensors = {**tensors, _TEXT: np.asarray(obj.policy.text_embedding)}
    else:
        raise SkillZooError(f"cannot save a skill that is a {policy}; save the skills it is made of")
    return {"instruction": obj.instruction, "slug": obj.slug, "class": policy, "policy": config}, tensors


def _from_plain(name: str, config: Any, tensors: dict[str, np.ndarray], low_level: Any, pin: LowLevelRef | None) -> Any:
    if name != "Skill":
        cls = _class(name)
        return getattr(cls, "from_tensors", cls)(config, tensors)
    if config["class"] == "HighLevelPolicy":
        policy = HighLevelPolicy.from_tensors(config["policy"], tensors)
    elif config["class"] == "ConditionedPolicy":
        multi = {key: value for key, value in tensors.items() if key != _TEXT}
        policy = MultiSkillPolicy.from_tensors(config["policy"], multi).for_text(jnp.asarray(tensors[_TEXT]))
    else:
        raise ValueError(f"no policy class {config['class']!r:.80}")
    pins = {"low_level_id": str(pin.id), "low_level_sha256": pin.sha256} if pin else {}
    return _class(name)(
        policy=policy, low_level=low_level, instruction=config["instruction"], slug=config["slug"], **pins
    )


def _check_fit(what: object, obj: Any, tensors: Mapping[str, np.ndarray], low_level: Any) -> None:
    """Whether a policy's arrays are those of its config, and whether it asks its controller for latents it knows."""
    if type(obj).__name__ == "LowLevelController":
        check_arrays(what, obj, tensors, obj.obs_dim)
        return
    policy, own = getattr(obj, "policy", obj), dict(tensors)
    if isinstance(policy, ConditionedPolicy):
        policy, text = policy.multi, own.pop(_TEXT)
        if text.shape != policy.text_embeddings.shape[1:]:
            raise CorruptArtifact(what, f"a text embedding of shape {policy.text_embeddings.shape[1:]}", text.shape)
    if isinstance(policy, HighLevelPolicy | MultiSkillPolicy):
        if policy.latent_dim != low_level.latent_dim:
            names = "the latents of the controller and of the policy that steers it"
            raise InterfaceMismatch(names, low_level.latent_dim, policy.latent_dim)
        check_arrays(what, policy, own, low_level.obs_dim)
