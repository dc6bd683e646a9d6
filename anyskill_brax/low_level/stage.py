"""What every part of an update reads and none changes: settings, the character's world, motions, networks' shapes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from anyskill_brax.envs.humanoid_env import HumanoidEnv
from anyskill_brax.low_level import clips, schedules
from anyskill_brax.low_level.devices import Devices
from anyskill_brax.low_level.getting_up import Way
from anyskill_brax.low_level.reference import Reference
from anyskill_brax.low_level.settings import LowLevelSettings
from anyskill_brax.low_level.state import Networks, TrainState, make_modules, make_optimizers
from anyskill_brax.low_level.worlds import Worlds
from anyskill_brax.types import Params

LOW_HEAD = 0.85
"""Of the head's height in standing: what a latent of a motion means is low below this."""


@dataclass(frozen=True, eq=False)
class Stage:
    settings: LowLevelSettings
    env: HumanoidEnv
    reference: Reference
    modules: Networks
    optimizers: Networks
    devices: Devices
    way: Way | None  # up from the floor; None where nobody is asked to go it

    @classmethod
    def create(cls, settings: LowLevelSettings, env: HumanoidEnv, reference: Reference, devices: Devices) -> "Stage":
        modules = make_modules(settings.networks, settings.conditional, env.character.action_dim)
        way = None
        if settings.reward.weights["rising"]:
            rising = settings.rising
            way = Way.record(jax.random.PRNGKey(settings.seed), env, rising.falls, rising.moments)
        return cls(settings, env, reference, modules, make_optimizers(settings), devices, way)

    @property
    def pays_rising(self) -> bool:
        """Whether recovery episodes have a reward of their own."""
        return self.way is not None

    def rises(self, world: Worlds) -> jax.Array:
        """`[W]` bool: in a recovery episode that is paid for. Where the latent means something low it is not: paid for
        height under every latent, the controller forgets how to crouch."""
        low = self.reference.head[world.source] < LOW_HEAD * self.env.character.standing_head
        return world.recovering & (world.free | ~low) & self.pays_rising

    @property
    def num_worlds(self) -> int:
        """Worlds of this device."""
        return self.settings.learner.num_worlds // self.devices.count

    @property
    def batch_size(self) -> int:
        """Control steps per update on this device."""
        return self.num_worlds * self.settings.learner.horizon

    @property
    def samples_per_update(self) -> int:
        return self.batch_size * self.devices.count

    def millions(self, state: TrainState) -> jax.Array:
        """Samples so far, in millions: the clock of every schedule."""
        return state.updates * (self.samples_per_update / 1e6)

    def sigma(self, state: TrainState) -> jax.Array:
        """Action noise of this update."""
        return self.settings.learner.sigma * schedules.factor(self.settings.sigma_schedule, self.millions(state))

    def lr_factor(self, state: TrainState) -> jax.Array:
        """On every learning rate, in this update."""
        return schedules.factor(self.settings.lr_schedule, self.millions(state))

    def drawn(self, state: TrainState) -> Reference:
        """The motions with the weights by which clips are drawn in this update."""
        sampling, base = self.settings.sampling, self.reference.weight
        if not sampling.share:
            return self.reference
        active = (self.millions(state) < sampling.until).astype(base.dtype)
        return self.reference.replace(weight=clips.drawn_weights(state.clips, base, sampling, active))

    def latents_of(self, encoder: Params, state: TrainState, source: jax.Array) -> jax.Array:
        """z = E(the motion window that ends at row `source [...]`), `[..., L]` unit, under parameters `encoder`."""
        windows = self.reference.window(source, self.settings.networks.encoder_frames)
        return self.modules.encoder.apply(encoder, state.encoder_normalizer(windows.reshape(*source.shape, -1)))

    def disc_condition(self, latent: jax.Array) -> jax.Array:
        """What the discriminator knows beside the window: `latent [..., L]`, or under "ase" nothing, `[..., 0]`."""
        return latent if self.settings.conditional else jnp.zeros((*latent.shape[:-1], 0))
