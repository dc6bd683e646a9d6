"""Rigid-body physics behind one door, `step_batch`: MuJoCo's C engine or MJX."""

import contextlib

# mujoco.mjx prints that the optional warp is absent; to a user it reads like a failure.
with contextlib.redirect_stdout(None):
    import mujoco.mjx  # noqa: F401
