"""Training curves as SVG within a page: one small picture each, with its numbers in words for who cannot see it."""

from html import escape

from skill_zoo.curves import Curves

_WIDTH, _HEIGHT = 320, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 8, 24


def plots(curves: Curves) -> str:
    """A figure per curve; empty for none."""
    if len(curves.at) < 2:
        return ""
    figures = [_figure(name, curves.over, curves.at, values) for name, values in curves.curves.items()]
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""


def _figure(name: str, over: str, at: list[float], values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    said = f"{name}: from {known[0]:.3g} to {known[-1]:.3g}, least {low:.3g}, most {high:.3g}"
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    lines = "".join(f'<polyline points="{points}"/>' for points in _strokes(at, values, low, high))
    texts = [
        (_LEFT - 6, _TOP + 9, "end", f"{high:.3g}"),
        (_LEFT - 6, bottom, "end", f"{low:.3g}"),
        (_LEFT, _HEIGHT - 8, "start", f"{at[0]:.4g}"),
        (right, _HEIGHT - 8, "end", f"{at[-1]:.4g}"),
        ((_LEFT + right) / 2, _HEIGHT - 8, "middle", over),
    ]
    words = "".join(
        f'<text x="{x:g}" y="{y:g}" text-anchor="{side}">{escape(text)}</text>' for x, y, side, text in texts
    )
    frame = f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}"/>'
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">{frame}{lines}{words}'
        f"</svg><figcaption>{escape(name)}</figcaption></figure>"
    )


def _strokes(at: list[float], values: list[float | None], low: float, high: float) -> list[str]:
    """Unbroken stretches as points of the picture."""
    across = (_WIDTH - _LEFT - _RIGHT) / ((at[-1] - at[0]) or 1.0)
    up = (_HEIGHT - _TOP - _BOTTOM) / ((high - low) or 1.0)
    strokes: list[list[str]] = [[]]
    for x, value in zip(at, values, strict=True):
        if value is None:
            strokes.append([])
        else:
            strokes[-1].append(f"{_LEFT + (x - at[0]) * across:.1f},{_HEIGHT - _BOTTOM - (value - low) * up:.1f}")
    return [" ".join(points) for points in strokes if points]
