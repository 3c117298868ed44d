"""What a paper reports, as claims that can be checked: expected, observed, tolerance, source."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from cortexsim.results import check_writable, replacing


@dataclass(frozen=True)
class Claim:
    """One number that a paper reports, beside the one that a run of the model gave.

    Parameters
    ----------
    name
        What is claimed, in a few words.
    expected, observed
        The two numbers, in `unit`.
    tolerance
        Largest difference at which the claim holds, in `unit`.
    source
        Paper, figure or table, or whose run of the authors' program gave the expected number.
    unit
        "Hz", "ms", "areas", ...; "1" where there is none.
    reason
        Why the claim can't be met, where it can't; such a claim stays in the table.
    interval
        Where `observed` depends on noise: its 95 % confidence interval over trials or seeds.
    """

    name: str
    expected: float
    observed: float
    tolerance: float
    source: str
    unit: str = "1"
    reason: str = ""
    interval: tuple[float, float] | None = None

    @property
    def holds(self) -> bool:
        """Whether observed and expected differ by no more than the tolerance."""
        return abs(self.observed - self.expected) <= self.tolerance


@dataclass(frozen=True)
class Claims:
    """The claims of a paper, as a table that prints and saves.

    Parameters
    ----------
    paper
        AuthorYear.
    claims
        Its claims, in the order of the paper.
    """

    paper: str
    claims: tuple[Claim, ...]

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims)

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def unmet(self) -> tuple[Claim, ...]:
        """The claims that do not hold and have no reason for it."""
        return tuple(c for c in self.claims if not c.holds and not c.reason)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per claim: claim, expected, observed, low, high, tolerance, unit, holds, source, reason.

        `low` and `high` are the ends of the 95 % confidence interval of `observed`, where it depends on noise.
        """
        intervals = [c.interval or (math.nan, math.nan) for c in self.claims]
        return pd.DataFrame(
            {
                "paper": self.paper,
                "claim": [c.name for c in self.claims],
                "expected": [c.expected for c in self.claims],
                "observed": [c.observed for c in self.claims],
                "low": [low for low, _ in intervals],
                "high": [high for _, high in intervals],
                "tolerance": [c.tolerance for c in self.claims],
                "unit": [c.unit for c in self.claims],
                "holds": [c.holds for c in self.claims],
                "source": [c.source for c in self.claims],
                "reason": [c.reason for c in self.claims],
            }
        )

    def __str__(self) -> str:
        """One line per claim, the reason of an unmet one below it."""
        met = sum(c.holds for c in self.claims)
        wide = max((len(c.name) for c in self.claims), default=0)
        lines = [f"{self.paper}: {met} of {len(self.claims)} claims hold"]
        for c in self.claims:
            unit = "" if c.unit == "1" else f" {c.unit}"
            mark = "holds" if c.holds else "FAILS" if not c.reason else "not met"
            interval = f" [{c.interval[0]:.3g}, {c.interval[1]:.3g}]" if c.interval else ""
            lines.append(
                f"  {mark:8}{c.name:{wide}}  expected {c.expected:.6g}{unit}, observed {c.observed:.6g}{interval}"
                f" (± {c.tolerance:.2g}; {c.source})"
            )
            if c.reason:
                lines.append(f"  {'':8}{c.reason}")
        return "\n".join(lines)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, whole or not at all.

        Raises
        ------
        ValueError, OSError
            If the path can't be written.
        """
        write_claims([self], path)


def write_claims(tables: Sequence[Claims], path: str | os.PathLike[str]) -> None:
    """Write the claims of several papers into one CSV, whole or not at all.

    Parameters
    ----------
    tables
        The claims of each paper.
    path
        Ends in .csv.

    Raises
    ------
    ValueError, OSError
        If the path can't be written.
    """
    frame = pd.concat([t.to_frame() for t in tables], ignore_index=True)
    with replacing(check_writable(path, (".csv",))) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
