"""Drawings as text: scales, ticks, axes, and the escaping that everything goes through. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 560
"""Width of a drawing, in its own units: about the pixels of half a page, or of a tablet."""

HEIGHT: Final = 280
LEFT: Final = 58
RIGHT: Final = 22
TOP: Final = 27
BOTTOM: Final = 44
"""Height and margins of a drawing, in the same units; the margins hold ticks of a phone's size."""

LOG_FROM: Final = 12.0
"""A largest value that is so many times the middle one asks for a logarithmic axis: a linear one
would press everything else into the lowest tenth."""

SMALLEST: Final = 1e-6
"""Values up to this are none: it is the grain of every clock here, in seconds."""

_STEPS: Final = (1, 2, 2.5, 5, 10)


def esc(value: object) -> str:
    """Return anything as text of a page: markup is harmless, and what cannot be seen is shown."""
    plain = str(value)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)
    return html.escape(shown)


def number(value: float) -> str:
    """Return a coordinate: to a tenth of a unit, which nobody sees, in as few letters."""
    return f"{value:.1f}".removesuffix(".0")


def milliseconds(value_s: float) -> str:
    """Return seconds as milliseconds for people: four digits are enough."""
    value = value_s * 1000
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


@dataclass(frozen=True)
class Scale:
    """Where values stand on an axis.

    Attributes:
        low: Value at its beginning.
        high: Value at its end.
        start: Where it begins, in units of the drawing.
        end: Where it ends.
        log: Whether equal ratios are equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value stands; values beyond the ends stand at the ends."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values on it, some five."""
        return list(_decades(self) if self.log else _even(self))


def _even(scale: Scale) -> Iterator[float]:
    rough = (scale.high - scale.low) / 5
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * ten for factor in _STEPS if factor * ten >= rough * 0.75)
    first = math.ceil(scale.low / step - 1e-9)
    yield from (index * step for index in range(first, math.floor(scale.high / step + 1e-9) + 1))


def _decades(scale: Scale) -> Iterator[float]:
    decades = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    factors = (1, 2, 5) if len(decades) <= 4 else (1,)
    for value in (factor * 10.0**decade for decade in decades for factor in factors):
        if scale.low * 0.999 <= value <= scale.high * 1.001:
            yield value


def upright(values: Sequence[float], top: float = TOP) -> Scale:
    """Return an axis of values from 0 up to a place; logarithmic if one dwarfs the others."""
    known = sorted(value for value in values if value > SMALLEST)
    if not known:
        return Scale(0.0, 1.0, HEIGHT - BOTTOM, top)
    middle, most = known[len(known) // 2], known[-1]
    if most > LOG_FROM * middle:
        low = max(known[len(known) // 100], most / 1e5)
        return Scale(low * 0.9, most * 1.1, HEIGHT - BOTTOM, top, log=True)
    return Scale(0.0, most * 1.06, HEIGHT - BOTTOM, top)


def across(high: float) -> Scale:
    """Return an axis from 0 to the right."""
    return Scale(0.0, high * 1.02 if high > SMALLEST else 1.0, LEFT, WIDTH - RIGHT)


def axes(
    x_ticks: Iterable[tuple[float, str]], y: Scale, x_title: str, y_title: str,
    y_text: Callable[[float], str],
) -> Iterator[str]:  # fmt: skip
    """Yield the grid, the ticks and the titles of a drawing."""
    for value in y.ticks():
        at = number(y(value))
        yield f'<path class="grid" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>'
        yield f'<text class="tick end" x="{LEFT - 7}" y="{at}" dy=".35em">{y_text(value)}</text>'
    for place, text in x_ticks:
        at = number(place)
        yield f'<path class="grid" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield f'<text class="tick mid" x="{at}" y="{HEIGHT - BOTTOM + 17}">{text}</text>'
    log = ", logarithmic" if y.log else ""
    yield f'<text class="name end" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}">{esc(x_title)}</text>'
    yield f'<text class="name" x="2" y="13">{esc(y_title + log)}</text>'


def drawing(name: str, title: str, parts: Iterable[str], caption: str = "") -> str:
    """Return a figure with a name for those who do not see it, and a caption for everyone.

    Args:
        name: Id of its title, once on a page.
        title: What it shows, with its numbers, in a sentence.
        parts: What is drawn, as SVG.
        caption: What to know when reading it, as HTML.
    """
    under = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure><svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{name}"><title id="{name}">{esc(title)}</title>'
        f"{''.join(parts)}</svg>{under}</figure>"
    )


def dots(points: Iterable[tuple[float, float]]) -> str:
    """Return a path of dots, of which each costs a dozen bytes: they need round line ends."""
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in points)


def crosses(points: Iterable[tuple[float, float]], size: float = 3.5) -> str:
    """Return a path of crosses."""
    return "".join(
        f"M{number(x - size)} {number(y - size)}l{2 * size} {2 * size}m0 {-2 * size}l{-2 * size} "
        f"{2 * size}"
        for x, y in points
    )


def bar(
    parts: Iterable[tuple[float, float, str]], whisker: tuple[float, float] | None = None
) -> str:
    """Return a bar for a cell of a table, which says the same in numbers: from 0 to 1.

    Args:
        parts: From where, how far, and the class of each part.
        whisker: From where and how far a thin line goes.
    """
    drawn = [
        f'<rect class="{kind}" x="{number(1000 * start)}" y="2" '
        f'width="{number(max(4.0, 1000 * size))}" height="12"/>'
        for start, size, kind in parts
    ]
    if whisker is not None:
        start, size = whisker
        drawn.append(f'<path class="whisker" d="M{number(1000 * start)} 8h{number(1000 * size)}"/>')
    return (
        '<svg class="bar" viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(drawn)}</svg>"
    )
