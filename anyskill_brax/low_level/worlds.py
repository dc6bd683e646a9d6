"""What travels with each training world beside its physics: its latent, its reference, its clocks; and how it starts.

A world either *follows* a motion (its latent is the encoder's for the coming window, renewed when that is over),
perhaps one after another, or holds a latent for a random number of steps, as in ASE: one uniform on the sphere, a
motion's, or a still pose's. A motion may be followed only until it *arrives* in a pose that is then kept, all of it
under the latent of that pose.
Whoever has fallen may get a recovery episode, in which the floor is allowed and rising is paid for.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import struct

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.envs.humanoid_env import HumanoidEnv, HumanoidState
from anyskill_brax.low_level.getting_up import STANDING, Way
from anyskill_brax.low_level.reference import Reference, body_errors
from anyskill_brax.low_level.settings import StartSettings
from anyskill_brax.networks import sample_latents
from anyskill_brax.types import PRNGKey

SOON = 15
"""Control steps that a recovery episode still lasts when the world stands, where rising is paid for."""
NEAR = 0.12
"""How far the furthest body may be from its place [m] where a motion that leads to a pose goes on."""
FEW = 8
"""`for_those` works on one world in so many at a time: about as many as are due for a latent at once."""
Latents = Callable[[jax.Array], jax.Array]  # last rows [...] of encoder windows -> latents [..., L]
T = TypeVar("T")


@struct.dataclass
class Worlds:
    """`[W]` worlds."""

    humanoid: HumanoidState
    latent: jax.Array  # [W, L]
    source: jax.Array  # [W] int32 last row of the motion window whose encoding the latent is; meaningless where `free`
    row: jax.Array  # [W] int32 the reference frame of this moment; only worlds that follow advance it
    follows: jax.Array  # [W] bool
    arrives: jax.Array  # [W] bool follows, under the latent of row `source` and no further than there
    poses: jax.Array  # [W] bool the latent held is that of the still pose `row`, to be reached
    free: jax.Array  # [W] bool latent drawn from the sphere, not from a motion: skill discovery learns from these
    hold: jax.Array  # [W] int32 control steps until the latent changes
    age: jax.Array  # [W] int32 control steps of this episode
    error: jax.Array  # [W] tracking error now, where there is a target [m]
    grace: jax.Array  # [W] int32 control steps left of a recovery episode, in which falling is allowed
    patience: jax.Array  # [W] int32 control steps until the motion, begun from another pose, can be lost

    @property
    def recovering(self) -> jax.Array:
        """`[W]` bool."""
        return self.grace > 0

    @property
    def moves(self) -> jax.Array:
        """`[W]` bool: follows, and has not arrived."""
        return self.follows & ~(self.arrives & (self.row >= self.source))


def start(
    key: PRNGKey,
    env: HumanoidEnv,
    reference: Reference,
    fall_states: HumanoidState,
    way: Way | None,
    settings: StartSettings,
    follow_share: jax.Array,
    latent_dim: int,
    num_worlds: int,
) -> Worlds:
    """Fresh episodes for `W` worlds: reference-state, standing or fall-state starts (ASE, section 6.2).

    `follow_share []`: of worlds that follow a motion. Some of those that are to recover begin on the `way` up instead
    of in one of `fall_states`; some of those that follow, in a pose that can be held. Their latents are due at once:
    `renew_latents` draws them.
    """
    keys = jax.random.split(key, 11)
    shape = (num_worlds,)
    follows = jax.random.bernoulli(keys[0], follow_share, shape)
    arrives = follows & jax.random.bernoulli(keys[8], settings.arrival_share, shape)
    source, on_the_way_there = reference.sample_arrival(keys[9], shape)
    row = jnp.where(arrives, on_the_way_there, reference.sample(keys[1], shape))
    draw = jax.random.uniform(keys[2], shape)
    from_fall = ~follows & (draw < settings.fall_share)
    on_the_way = jax.random.bernoulli(keys[5], settings.rising_share, shape)
    from_default = ~follows & ~from_fall & (draw < settings.fall_share + settings.default_share)
    # Who goes to a pose begins, half of the times that it begins at the beginning, as standing as everybody else.
    from_default |= arrives & (row == reference.way[source]) & (draw < 0.5)
    elsewhere = follows & ~arrives & jax.random.bernoulli(keys[6], settings.transition_share, shape)
    began = jnp.where(elsewhere, reference.sample_still(keys[7], shape), row)
    on_reference = env.place(reference.qpos[began], reference.qvel[began], reference.window(began, env.num_frames))
    fallen = jax.tree.map(lambda x: x[jax.random.randint(keys[3], shape, 0, x.shape[0])], fall_states)
    if way is not None:
        moment = jax.random.randint(keys[4], shape, 0, way.progress.size)
        fallen = select(on_the_way, env.place(way.qpos[moment], way.qvel[moment]), fallen)
    zero = jnp.zeros(shape, jnp.int32)
    return Worlds(
        humanoid=select(from_default, env.standing(keys[10], shape), select(from_fall, fallen, on_reference)),
        latent=jnp.zeros((num_worlds, latent_dim)),
        source=jnp.where(arrives, source, row),
        row=row,
        follows=follows,
        arrives=arrives,
        poses=jnp.zeros(shape, bool),
        free=jnp.zeros(shape, bool),
        hold=zero,
        age=zero,
        error=jnp.zeros(shape),
        grace=jnp.where(from_fall, settings.recovery_steps, 0),
        patience=jnp.where(elsewhere, settings.transition_steps, 0),
    )


def next_motion(key: PRNGKey, reference: Reference, settings: StartSettings, worlds: Worlds) -> Worlds:
    """Who has followed a motion to its end, and is still here, follows another from now on."""
    over = worlds.follows & ~worlds.arrives & (worlds.row >= reference.last[worlds.row])
    return worlds.replace(
        row=jnp.where(over, reference.sample(key, over.shape), worlds.row),
        hold=jnp.where(over, 0, worlds.hold),
        patience=jnp.where(over, settings.transition_steps, worlds.patience),
    )


def renew_latents(
    key: PRNGKey, reference: Reference, latents: Latents, settings: StartSettings, worlds: Worlds, num_frames: int
) -> Worlds:
    """New latents where the old one's time is up (ASE, section 6.2: latents change within an episode).

    `num_frames`: of the encoder's window. Who follows a motion is shown what it will do in that time.
    """
    key_kind, key_sphere, key_motion, key_still, key_hold = jax.random.split(key, 5)
    shape, due = worlds.hold.shape, worlds.hold <= 0
    kind = jax.random.uniform(key_kind, shape)
    poses = ~worlds.follows & (kind < settings.pose_share)
    free = ~worlds.follows & (kind >= settings.pose_share + settings.motion_latent_share)
    still = reference.sample_still(key_still, shape)
    source = reference.ahead(reference.sample(key_motion, shape), num_frames - 1)
    source = jnp.where(poses, still, source)
    source = jnp.where(worlds.follows, reference.ahead(worlds.row, num_frames), source)
    source = jnp.where(worlds.arrives, worlds.source, source)
    sphere = sample_latents(key_sphere, shape, worlds.latent.shape[-1])
    latent = jnp.where((due & free)[:, None], sphere, worlds.latent)
    latent = for_those(due & ~free, latent, lambda rows, _: latents(source[rows]))
    hold = jax.random.randint(key_hold, shape, settings.hold_min, settings.hold_max + 1)
    return worlds.replace(
        latent=latent,
        source=jnp.where(due, source, worlds.source),
        row=jnp.where(due & poses, still, worlds.row),
        poses=jnp.where(due, poses, worlds.poses),
        free=jnp.where(due, free, worlds.free),
        hold=jnp.where(due, jnp.where(worlds.follows, num_frames, hold), worlds.hold),
    )


@struct.dataclass
class Outcome:
    """How a control step ended, `[W]` bool each, and where the bodies should be by now."""

    terminated: jax.Array
    truncated: jax.Array
    broken: jax.Array
    target: BodyState


def finish_step(
    key: PRNGKey,
    env: HumanoidEnv,
    reference: Reference,
    worlds: Worlds,
    after: HumanoidState,
    broken: jax.Array,
    settings: StartSettings,
    pays_rising: bool,
) -> tuple[Worlds, Outcome]:
    """Advance clocks and references after physics; decide who has failed, who is out of time, who may recover.

    `broken [W]`: physics diverged; `after` is then where the world was before, and its episode is over.
    """
    row = jnp.where(worlds.moves, reference.ahead(worlds.row, 1), worlds.row)
    clip_over = worlds.follows & ~worlds.arrives & (row >= reference.last[worlds.row])
    target = reference.bodies(env.character, row, worlds.replace(row=row).moves)
    errors, lost = is_lost(settings, env.character, after.bodies, target)
    lost &= worlds.follows & (worlds.patience == 0)
    # On the way to a pose nobody is late: its latent does not say when it began, so the way waits for who is behind.
    row = jnp.where(worlds.arrives & (errors.max(axis=-1) > NEAR), worlds.row, row)
    fallen = ~worlds.follows & env.has_fallen(after.bodies)
    key_grace, key_next = jax.random.split(key)
    grace = worlds.grace
    if pays_rising:  # who stands again soon has the usual objective again, or it would forget to crouch: decisions/0009
        head = after.bodies.pos[..., env.character.body("head"), 2]
        grace = jnp.where(head > STANDING * env.character.standing_head, jnp.minimum(grace, SOON), grace)
    grace = jnp.maximum(grace - 1, 0)
    # A fall becomes a recovery episode with some probability: no reset for a while, so getting up is learned.
    forgiven = fallen & (worlds.grace == 0) & jax.random.bernoulli(key_grace, settings.recovery_share, fallen.shape)
    grace = jnp.where(forgiven, settings.recovery_steps, grace)
    terminated = broken | lost | (fallen & (grace == 0))
    age = worlds.age + 1
    clip_over &= ~jax.random.bernoulli(key_next, settings.transition_share, clip_over.shape)
    truncated = ~terminated & (clip_over | (age >= settings.episode_steps))
    patience = jnp.maximum(worlds.patience - 1, 0)
    moved = worlds.replace(
        humanoid=after,
        row=row,
        age=age,
        error=errors.mean(axis=-1),
        grace=grace,
        patience=patience,
        hold=worlds.hold - 1,
    )
    return moved, Outcome(terminated=terminated, truncated=truncated, broken=broken, target=target)


def is_lost(
    settings: StartSettings, character: Character, simulated: BodyState, target: BodyState
) -> tuple[jax.Array, jax.Array]:
    """How far every body is from `target`, `[..., B]` [m]; whether a motion followed there has been lost, `[...]`."""
    errors = body_errors(simulated, target)
    feet_off = jnp.abs(simulated.pos - target.pos)[..., character.feet, 2].max(axis=-1)
    too_far = (errors.mean(axis=-1) > settings.max_tracking_error) | (errors.max(axis=-1) > settings.max_body_error)
    return errors, too_far | (feet_off > settings.max_lift_error)


def for_those(mask: jax.Array, values: T, make: Callable[[jax.Array, jax.Array], T]) -> T:
    """`values`, a pytree of `[W, ...]`, with others where `mask [W]`, worked out for a few worlds at a time: few are
    due at any step. `make` takes their indices `[n]` (W for none) and how many were there before `[]`."""
    number, count = mask.size, mask.sum()
    room = max(1, number // FEW)
    rows = jnp.sort(jnp.where(mask, jnp.arange(number), number))
    rows = jnp.concatenate([rows, jnp.full(room, number)])

    def some(state: tuple[jax.Array, T]) -> tuple[jax.Array, T]:
        done, values = state
        own = jax.lax.dynamic_slice(rows, (done,), (room,))
        new = make(own, done)
        return done + room, jax.tree.map(lambda x, y: x.at[own].set(y, mode="drop"), values, new)

    return jax.lax.while_loop(lambda state: state[0] < count, some, (jnp.zeros((), rows.dtype), values))[1]


def select(mask: jax.Array, a, b):
    """Per world: `a` where `mask [W]`, else `b`, over a whole pytree."""
    return jax.tree.map(lambda x, y: jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 1)), x, y), a, b)
