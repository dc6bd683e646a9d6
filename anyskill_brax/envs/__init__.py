"""The simulated humanoid as an environment, for action policies and for latent policies."""

import anyskill_brax.physics  # noqa: F401  before brax, which imports the same and not quietly
