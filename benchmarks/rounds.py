"""Fair comparison on a machine that does other things too: rounds in which everything has its turn.

A figure of one case is divided by the figure of another one of the same round, and the median of these ratios counts:
what disturbs one round as a whole disturbs none of its ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

__all__ = ["median_ratio", "run_rounds"]

_Sample = TypeVar("_Sample")


def run_rounds(
    cases: Mapping[str, Callable[[], _Sample]], rounds: int, *, progress: Callable[[str], None]
) -> dict[str, list[_Sample]]:
    """Run each case once a round, every second round the other way round, and give the samples by case, in order.

    Args:
        cases: what is run, by name.
        rounds: how many rounds there are.
        progress: told of each case before it runs.
    """
    samples: dict[str, list[_Sample]] = {name: [] for name in cases}
    for number in range(rounds):
        names = list(cases)
        for name in reversed(names) if number % 2 else names:
            progress(f"round {number + 1} of {rounds}: {name}")
            samples[name].append(cases[name]())
    return samples


def median_ratio(figures: Sequence[float], others: Sequence[float]) -> float:
    """The median of what figures are by others of the same round."""
    return median(figure / other for figure, other in zip(figures, others, strict=True))
