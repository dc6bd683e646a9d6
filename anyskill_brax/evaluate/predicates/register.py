"""The register of predicates: each a pure function of a `Track`, entered by one decorator.

@predicate("touch the ceiling", "reach for the lamp")
def hand_above_two_metres(track: Track) -> Mask:
    '''Either hand higher than 2 m for half a second.'''
    high = np.maximum(track.height("left_hand"), track.height("right_hand")) > 2.0
    return track.lasts(high, 0.5)
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from anyskill_brax.evaluate.track import Mask, Track

Rule = Callable[..., Mask]


@dataclass(frozen=True)
class Predicate:
    """A fact about a rollout that geometry decides."""

    name: str
    says: str  # what must be seen, one line
    instructions: tuple[str, ...]  # that ask for it, beside the phrases that reward_model/phrases.toml has for `name`
    rule: Rule

    def __call__(self, track: Track) -> Mask:
        """Whether it holds, `[...]` bool: one answer per episode of the track."""
        return self.rule(track)


PREDICATES: dict[str, Predicate] = {}


def predicate(*instructions: str) -> Callable[[Rule], Rule]:
    """Register a function under its own name, with instructions that ask for it.

    A function with a second parameter `side` is two predicates: "side" in its name, its docstring's `{side}` and
    `{other}` and those in the instructions become left and right, and the mirror image.
    """

    def register(rule: Rule) -> Rule:
        says = (inspect.getdoc(rule) or "").partition("\n")[0]
        if not says:
            raise ValueError(f"predicate {rule.__name__}: its docstring says what must be seen")
        if "side" not in inspect.signature(rule).parameters:
            _enter(Predicate(rule.__name__, says, instructions, rule))
            return rule
        for side, other in (("left", "right"), ("right", "left")):
            name = "_".join(side if word == "side" else word for word in rule.__name__.split("_"))
            texts = tuple(text.format(side=side, other=other) for text in instructions)
            _enter(Predicate(name, says.format(side=side, other=other), texts, functools.partial(rule, side=side)))
        return rule

    return register


def _enter(entry: Predicate) -> None:
    if entry.name in PREDICATES:
        raise ValueError(f"predicate {entry.name!r} is registered twice")
    PREDICATES[entry.name] = entry
