"""What happens to a character beside its own actions: pushes, thrown boxes, another body and another floor."""

import jax
import jax.numpy as jnp

from anyskill_brax.character.humanoid import CONTROL_DT, Character
from anyskill_brax.envs.humanoid_env import HumanoidState
from anyskill_brax.low_level.settings import DisturbanceSettings
from anyskill_brax.physics.state import VARIATION, Disturbance
from anyskill_brax.types import PRNGKey

BOX_HALF_SIZE = 0.1  # [m]


def pushed(key: PRNGKey, settings: DisturbanceSettings, humanoid: HumanoidState) -> HumanoidState:
    """The worlds `[W]`, some (`push_rate` a second) with a sudden horizontal velocity of up to `push_speed` more."""
    if not settings.push_rate:
        return humanoid
    key_who, key_speed, key_way = jax.random.split(key, 3)
    qvel = humanoid.physics.qvel
    lead = qvel.shape[:-1]
    hit = jax.random.bernoulli(key_who, settings.push_rate * CONTROL_DT, lead)
    speed = hit * jax.random.uniform(key_speed, lead, maxval=settings.push_speed)
    way = jax.random.uniform(key_way, lead, maxval=2.0 * jnp.pi)
    qvel = qvel.at[..., 0].add(speed * jnp.cos(way)).at[..., 1].add(speed * jnp.sin(way))
    return humanoid.replace(physics=humanoid.physics.replace(qvel=qvel))


def disturbance(
    key: PRNGKey, settings: DisturbanceSettings, character: Character, variation: jax.Array
) -> Disturbance | None:
    """What acts on the worlds `[W]` in one control step; None where nothing is wanted."""
    if not (settings.box_rate or varies(settings)):
        return None
    lead = variation.shape[:-1]
    wrench = jnp.zeros((*lead, character.num_bodies, 6))
    if settings.box_rate:
        wrench = thrown_boxes(key, settings, character, lead)
    return Disturbance(wrench=wrench, variation=variation)


def thrown_boxes(key: PRNGKey, settings: DisturbanceSettings, character: Character, lead: tuple[int, ...]) -> jax.Array:
    """Forces and torques on bodies `[W, B, 6]` of boxes of 0.2 m that hit (`box_rate` a second).

    No box is simulated: the character's model would need it as a body, and observations their 223 numbers. A box that
    hits and drops hands over its momentum, m v; that is what a random body gets, at a point up to half a box off
    its centre of mass, from a random side, as an even force over the control step. A real box would also bounce, roll
    off and be in the way.
    """
    keys = jax.random.split(key, 6)
    hit = jax.random.bernoulli(keys[0], settings.box_rate * CONTROL_DT, lead)
    body = jax.nn.one_hot(jax.random.randint(keys[1], lead, 0, character.num_bodies), character.num_bodies)
    low, high = settings.box_speed
    momentum = settings.box_mass * jax.random.uniform(keys[2], lead, minval=low, maxval=high)
    way = jax.random.uniform(keys[3], lead, maxval=2.0 * jnp.pi)
    rise = jax.random.uniform(keys[4], lead, minval=-0.2, maxval=0.2)  # thrown from 4-5 m, at 0.25-2 m of height
    direction = jnp.stack([jnp.cos(rise) * jnp.cos(way), jnp.cos(rise) * jnp.sin(way), jnp.sin(rise)], axis=-1)
    force = (hit * momentum / CONTROL_DT)[..., None] * direction
    arm = jax.random.uniform(keys[5], (*lead, 3), minval=-BOX_HALF_SIZE, maxval=BOX_HALF_SIZE)
    wrench = jnp.concatenate([force, jnp.cross(arm, force)], axis=-1)
    return body[..., None] * wrench[..., None, :]


def varies(settings: DisturbanceSettings) -> bool:
    return any(getattr(settings, name) != (1.0, 1.0) for name in VARIATION)


def variations(key: PRNGKey, settings: DisturbanceSettings, num_worlds: int) -> jax.Array:
    """Factors on friction, mass and gains `[W, 3]`, uniform in the configured ranges."""
    low, high = jnp.asarray([getattr(settings, name) for name in VARIATION]).T
    return low + (high - low) * jax.random.uniform(key, (num_worlds, len(VARIATION)))
