"""Whether chance would match experiments as well as the cortex does: connections, D1 receptors or spines shuffled.

The model is that of Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024, at dopamine 1.5. No
speed is measured; the table is too long a run for `cortexsim validate FroudistWalsh2021`, which does 100 shuffles.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import table

import cortexsim as cx
from cortexsim.validate import shuffles

RESULTS = Path(__file__).parent / "results" / "shuffles.md"
FULL, QUICK = 500, 4
WHAT = {
    "connections": "pairs of FLN and SLN over all pairs of areas",
    "weights": "pairs of FLN and SLN over the existing connections",
    "degree": "sources of each area, number of inputs and outputs kept",
    "d1": "density of D1 receptors over areas",
    "spine_count": "spine count over areas",
}


def report(number: int) -> str:
    """Return the report of `number` shuffles of each kind, as Markdown."""
    model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    rows = []
    for what, meaning in WHAT.items():
        found = shuffles(model, what, number)
        low, high = found.p_value_interval.values
        below, above = 100 * found.mean_accuracy_interval.values
        rows.append(
            [
                what,
                meaning,
                f"{float(found.p_value):.3f} ({low:.3f} to {high:.3f})",
                f"{100 * float(found.mean_accuracy):.1f} ({below:.1f} to {above:.1f})",
                f"{100 * float(found.accuracy.median()):.1f}",
                f"{100 * float(found.accuracy.max()):.1f}",
                f"{int(found.n_persistent.min())} to {int(found.n_persistent.max())}",
            ]
        )
    columns = ["shuffled", "what that is", "p", "mean agreement (%)", "median", "largest", "areas that persist"]
    parts = [
        "# Agreement with experiments, shuffled",
        f"{number} shuffles of each kind, seeds 0 to {number - 1}, no noise, with 95 % confidence intervals. p is the "
        "share whose chi-squared is at least that of the cortex as it is: "
        f"{float(found.observed_chi_squared):.3f}, with {100 * float(found.observed_accuracy):.1f} % agreement in 19 "
        f"well-studied areas and {int(found.observed_n_persistent)} areas of 40 that persist. A shuffle without any "
        "persistence agrees in 36.8 %.",
        table(columns, rows),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the shuffles and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few shuffles, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"write the report to {RESULTS.name} too")
    chosen = parser.parse_args()
    if chosen.quick and chosen.write:
        parser.error("--write keeps full runs only; leave --quick out")
    text = report(QUICK if chosen.quick else FULL)
    print(text, end="")
    if chosen.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
