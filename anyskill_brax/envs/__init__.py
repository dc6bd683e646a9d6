"""The simulated humanoid as an environment, for action policies and for latent policies."""

import contextlib

# mujoco.mjx prints that the optional warp is absent; to a user it reads like a failure.
with contextlib.redirect_stdout(None):
    import mujoco.mjx  # noqa: F401
