"""The simulated humanoid as an environment, for action policies and for latent policies."""
