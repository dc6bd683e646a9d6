"""The gallery: a zoo as a web site that opens from disk, without a network."""

from skill_zoo.gallery.build import build

__all__ = ["build"]
