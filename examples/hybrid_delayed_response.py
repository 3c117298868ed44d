"""Prefrontal networks that learnt a delayed response inside the cortex, and where their memory lives.

The cortex is that of Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H,
Palomero-Gallagher N, Wang X-J (2021). A dopamine gradient controls access to distributed working memory in the
large-scale monkey cortex. Neuron 109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

In two of its 40 areas, 46d and 9/46d, leaky networks with Dale's law stand in for the circuit. They were trained to
tell which of two cues to V1 was shown, after a delay and a distractor; benchmarks/hybrid_delayed_response.py trains
them, and wrote the weights that are read here. The models without networks answer by the rates of the same two areas.

With much dopamine (1.5) the circuit holds the cue by itself, and the networks learn to read it: after a moment of
darkness in the two areas it comes back from the others. With little (0.5) the circuit forgets within half a second. The
networks then learn to remember, but not by themselves: 20 areas hold the cue, with the circuit that forgot it, and the
memory is lost if either side is dark for a moment or the networks' input is cut. It lives in the loop through both.
After the dark the distractor takes its place, and answers are wrong rather than random. Dopamine of 1.5 ignites this
trained cortex before some of the cues. Dopamine acts on the areas that follow the circuit, not on the networks.

It prints a table and writes hybrid_delayed_response.png to the working directory, or to --out FOLDER. Seconds; the very
first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim import rnn, tasks
from cortexsim.analysis.outcomes import proportion
from cortexsim.hybrid import HybridParameters

WEIGHTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "hybrid_delayed_response.npz"
TRAINED = ("46d", "9/46d")
TASK = tasks.DelayedResponse(distractor=250.0)
CUE, DELAY, DISTRACTOR, RESPONSE, END = 750.0, 1000.0, 1750.0, 2500.0, 2750.0  # ms
LIGHT = {"onset": 1200.0, "duration": 300.0}
TRIALS = 8  # half of them with cue A and distractor B, half the other way round
LEVELS = {"much": 1.5, "little": 0.5}
SHOWN = {"V1": "#666666", "LIP": "#009E73", "9/46v": "#E69F00", "46d": "#0072B2", "24c": "#D55E00"}


def main(out: Path = Path()) -> None:
    """Run the trials, print how many are right, and write the figure into the folder `out`."""
    results, scores = {}, {}
    for name, dopamine in LEVELS.items():
        model, hybrid = systems(name, dopamine)
        for kind, system in (("circuit alone", model), ("with networks", hybrid)):
            title = f"Dopamine {dopamine:g}, {kind}"
            result = run(system)
            results[title] = result.sel(trial=result.condition == "control")
            scores[title] = right(system, result)
    table = xr.concat(scores.values(), xr.DataArray(list(scores), dims="system", name="system"))
    print(table.fraction.to_pandas().T.to_string(float_format="%.2f"))

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "hybrid_delayed_response.png"
    draw(results, table).savefig(picture)
    print(f"\nWrote {picture}")


def systems(name: str, dopamine: float) -> tuple[cx.Model, cx.Hybrid]:
    """Return the cortex at a level of dopamine without networks, and with those trained there."""
    circuit = cx.circuits.FroudistWalsh2021(dopamine=dopamine)
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    network = rnn.Network(inputs=1, outputs=0, units=50, inhibitory=(40, 50), dt=10.0, tau=100.0, activation="sigmoid")
    drives = [cx.Drive("cue_A", "V1", "E1_dendrite", 100.0), cx.Drive("cue_B", "V1", "E2_dendrite", 100.0)]
    embedded = {area: cx.Embedding(network=network, rate=40.0) for area in TRAINED}
    hybrid = cx.embed(model, embedded, task=TASK, drives=drives)
    with np.load(WEIGHTS, allow_pickle=False) as file:
        weights = HybridParameters(hybrid.stack._fields, [file[f"{name}/{key}"] for key in hybrid.stack._fields])
    return model, hybrid.with_stack(weights)


def run(system: cx.Model) -> xr.Dataset:
    """Return trials as they are, and with light, cuts and other levels of dopamine, all under the same noise."""
    go = None
    if isinstance(system, cx.Hybrid):
        go = sum(cx.Pulse(area=a, input="u0", onset=RESPONSE, duration=END - RESPONSE, amplitude=1) for a in TRAINED)
    trials = [shown("E1", CUE) + shown("E2", DISTRACTOR), shown("E2", CUE) + shown("E1", DISTRACTOR)] * (TRIALS // 2)
    trials = [trial if go is None else trial + go for trial in trials]
    others = [area for area in system.areas if area not in TRAINED]
    into = [(t, s) for t in TRAINED for s in others if system.connectome.fln.sel(target=t, source=s) > 0]
    done = {
        "input cut\nfrom the delay on": cx.Lesion(connections=into, onset=DELAY),
        "46d, 9/46d dark\nfor 0.3 s": darkened(TRAINED),
        "all others dark\nfor 0.3 s": darkened(others),
        "dopamine 1.5": cx.Change(parameter="dopamine", value=1.5),
        "dopamine 0.5": cx.Change(parameter="dopamine", value=0.5),
    }
    return cx.paired(
        system, trials, done, trials=TRIALS, duration=END + 50, every=50, dtype="float32", record=["r_E1", "r_E2"],
        progress=False,
    )  # fmt: skip


def shown(population: str, onset: float) -> cx.Pulse:
    """Return a stimulus to one of the two populations of V1."""
    return cx.Pulse(area="V1", input=f"{population}_dendrite", onset=onset, duration=250, amplitude=100)


def for_cue(result: xr.Dataset) -> xr.DataArray:
    """Return by how much the cued population fires more than the other (trial, time, area)."""
    side = xr.DataArray(np.where(result.trial.values % 2 == 0, 1.0, -1.0), dims="trial")
    return (result.r_E1 - result.r_E2) * side


def darkened(areas: tuple[str, ...] | list[str]) -> cx.Stimulus:
    """Return light that silences the excitatory cells of areas in the delay."""
    return cx.optogenetics(areas, "E1", -2000, **LIGHT) + cx.optogenetics(areas, "E2", -2000, **LIGHT)


def right(system: cx.Model, result: xr.Dataset) -> xr.Dataset:
    """Return in which share of the trials the answer is the cue, by condition, with Wilson's intervals."""
    window = {"time": slice(RESPONSE + 50, END)}
    if isinstance(system, cx.Hybrid):
        units = result.r_unit[:, :, (result.unit_kind == "E").values].sel(window).mean("time")
        y = units.values @ system.stack.of("W_out")[0].T + system.stack.of("bias_out")[0]
        answers = (y[:, 0] > y[:, 1]) == (result.trial.values % 2 == 0)
    else:
        answers = (for_cue(result).sel(window).sel(area=list(TRAINED)).mean(("time", "area")) > 0).values
    conditions = list(dict.fromkeys(result.condition.values.tolist()))
    counts = [int(answers[result.condition.values == c].sum()) for c in conditions]
    labels = {"condition": ["intact", *conditions[1:]]}
    return proportion(
        xr.DataArray(counts, labels, "condition"), xr.DataArray([TRIALS] * len(counts), labels, "condition")
    )


def draw(results: dict[str, xr.Dataset], table: xr.Dataset) -> Figure:
    """Return the figure: selectivity over time, on the cortex at the end of the second delay, and performance."""
    with cx.plot.styled():
        figure = Figure(figsize=(13.0, 8.0), dpi=150, layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.25))
        left, right = below.subfigures(1, 2, width_ratios=(1.0, 2.0))
        maps = iter(left.subplots(2, 1))
        rows = above.subplots(1, 4, sharex=True, sharey=True)
        for (title, result), ax in zip(results.items(), rows, strict=True):
            mean = for_cue(result).mean("trial")
            for area, colour in SHOWN.items():
                ax.plot(mean.time / 1000, mean.sel(area=area), color=colour, label=area)
            for start, colour in ((CUE, "#0072B2"), (DISTRACTOR, "#D55E00")):
                ax.axvspan(start / 1000, start / 1000 + 0.25, color=colour, alpha=0.12, linewidth=0)
            ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
            late = mean.sel(time=slice(RESPONSE - 150, RESPONSE - 1)).mean("time")
            ax.set(title=title, xlabel="Time (s)", xlim=(0.5, END / 1000))
            ax.text(2.4, 37, f"{int((late > 2).sum())} areas hold the cue", ha="right", fontsize=7)
            if "0.5" in title:
                late.attrs = {"long_name": "cue - distractor at 2.4 s", "units": "Hz"}
                cortex = next(maps)
                cx.plot.cortex_map(late, views=["lateral"], vmin=-25, vmax=25, cmap="RdBu", ax=cortex)
                cortex.set(xticks=[], yticks=[], xlabel="", ylabel="")
                cortex.spines[:].set_visible(False)
                cortex.set_title(title, loc="left")
        rows[0].set(ylabel="Cue - distractor (Hz)", ylim=(-27, 41))
        rows[0].legend(loc="lower left", ncols=2)

        ax = right.subplots()
        n = table.sizes["condition"]
        colours = ("0.75", "0.35", "#56B4E9", "#0072B2")
        for k, (system, colour) in enumerate(zip(table.system.values, colours, strict=True)):
            one = table.sel(system=system)
            x = np.arange(n) + 0.2 * (k - 1.5)
            ax.bar(x, one.fraction, width=0.18, color=colour, label=str(system))
            ax.vlines(x, one.low, one.high, color="black", linewidth=0.8)
        ax.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
        ax.set_xticks(np.arange(n), table.condition.values)
        ax.set(ylabel="Trials that are right", ylim=(0, 1.02))
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
