"""AnySkill on JAX, Brax and MuJoCo: a physics-simulated humanoid that learns skills from sentences."""

__version__ = "0.1.0"
