"""What are hybrids for? Prefrontal networks learn a delayed response with a distractor inside the cortex.

    python benchmarks/hybrid_delayed_response.py            # twenty minutes on two busy cores; prints the tables
    python benchmarks/hybrid_delayed_response.py --write    # the same, and into benchmarks/results/
    python benchmarks/hybrid_delayed_response.py --small    # a minute or two: a short task, one network, few steps

Areas 46d and 9/46d of the 40-area cortex are leaky networks with Dale's law; all others follow the circuit of
Froudist-Walsh et al. 2021 (doi 10.1016/j.neuron.2021.08.024). Cue and distractor are currents to V1. The networks are
trained from scratch in a cortex with much dopamine, whose circuit holds a cue by itself, and in one with little, whose
circuit forgets it. Then connections are cut, areas lesioned or silenced and dopamine is changed, in the hybrids and in
the untrained models, which are read out by the rates of the same two areas. Dopamine acts on the areas that follow the
circuit, not on the units of the networks. Training goes on from the checkpoints in `--folder`.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from dasc_runs import Watch, share, wilson
from measuring import machine, table
from numpy.typing import NDArray

import cortexsim as cx
from cortexsim import rnn, tasks

RESULTS = Path(__file__).parent / "results"
NAME = "hybrid_delayed_response"
AREAS = ("46d", "9/46d")
PREFRONTAL = ("8m", "8l", "10", "9/46v", "25", "32", "9", "45A", "8B", "OPRO")  # the others
DOPAMINE = {"much": 1.5, "little": 0.5}
DRIVES = (cx.Drive("cue_A", "V1", "E1_dendrite", 100.0), cx.Drive("cue_B", "V1", "E2_dendrite", 100.0))  # pA
TASK = tasks.DelayedResponse(distractor=250.0, distractor_choice="random")
SHORT = replace(
    TASK, warmup=200, fixation=50, cue=150, delay=150, distractor=100, second_delay=100, response=150, jitter=50
)
SELECTIVE = 2.0  # Hz
EVERY = 50.0  # ms between samples of the comparison


def cortex(dopamine: float) -> cx.Model:
    """Return the 40 areas with the circuit."""
    circuit = cx.circuits.FroudistWalsh2021(dopamine=dopamine)
    return cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())


def hybrid_of(model: cx.Model, task: tasks.Task, networks: int = 1, seed: int = 0) -> cx.Hybrid:
    """Return the cortex with untrained networks in the two areas.

    The long-range input of either area, gating variables by connection weights, is .5 to .7 for the cued population and
    .05 at rest. A gain of 5, doubled onto the units of the population that it concerns, makes this a drive of 5 to 7
    against .5, and a bias of -5 puts the sigmoid's rise between them. The networks must be silent at rest, or would
    ignite a cortex with much dopamine before the cue; and their rates must have a bound, or they learn to remember by
    running away. At 40 Hz for an activity of 1 the two areas fire at 20 to 35 Hz. The recurrent weights are weak at the
    start: the networks relay what they receive, and hold nothing.
    """
    network = rnn.Network(inputs=1, outputs=0, units=50, inhibitory=(40, 50), dt=10.0, tau=100.0, activation="sigmoid")
    embedded = {}
    for k, area in enumerate(AREAS):
        start = rnn.initialise(network, networks, seed=2 * seed + k)
        start = start._replace(bias=np.full_like(start.bias, -5.0))
        embedded[area] = cx.Embedding(network=network, parameters=start, gain=5.0, rate=40.0)
    return cx.embed(model, embedded, task=task, drives=DRIVES, seed=seed)


def train(name: str, chosen: argparse.Namespace) -> tuple[cx.Hybrid, rnn.Training, Watch]:
    """Train the networks in a cortex, or go on with it."""
    hybrid = hybrid_of(cortex(DOPAMINE[name]), chosen.task, chosen.networks, chosen.seed)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    path = chosen.folder / f"{name}-{chosen.networks}-{chosen.seed}.npz"
    watch = Watch(f"{name} dopamine", chosen.steps, path.with_suffix(".json"))
    found = rnn.train(
        hybrid,
        chosen.task,
        hybrid.stack,
        steps=chosen.steps,
        trials=16,
        optimizer=rnn.Adam(learning_rate=3e-3, clip_norm=1.0),
        credit="open_loop",
        seed=chosen.seed,
        evaluate_every=chosen.every,
        evaluation_trials=64,
        goal=None,
        checkpoint=path,
        checkpoint_every=chosen.every,
        callbacks=[watch],
    )
    return hybrid, found, watch


# ---- Trials of the task as stimuli, and results as choices


def stimuli(model: cx.Model, trials: tasks.Trials) -> list[cx.Stimulus]:
    """Return the trials as stimuli, after the warm-up: currents of the drives, and what reaches networks directly."""
    onsets = trials.task.warmup + trials.borders * trials.dt
    where = {d.channel: [(d.area, d.input, d.amplitude)] for d in DRIVES}
    if isinstance(model, cx.Hybrid):
        for k, channel in enumerate(model.direct(trials.task)):
            where[channel] = [(area, f"u{k}", 1.0) for area in AREAS]
    found = []
    for values in trials.inputs_by_epoch.swapaxes(0, 1):  # (epoch, channel) of a trial
        pulses = [
            cx.Pulse(area=area, input=name, onset=start, duration=stop - start, amplitude=value * amplitude)
            for row, start, stop in zip(values, onsets, onsets[1:], strict=False)
            for channel, value in zip(trials.task.inputs, row, strict=True)
            if value
            for area, name, amplitude in where.get(channel, ())
        ]
        found.append(sum(pulses[1:], pulses[0]))
    return found


def evidence(model: cx.Model, result: xr.Dataset) -> xr.DataArray:
    """Return A minus B (trial, time): outputs of a hybrid, and of a model without networks the areas' mean rates."""
    if not isinstance(model, cx.Hybrid):
        return (result.r_E1 - result.r_E2).sel(area=list(AREAS)).mean("area")
    read = np.concatenate(
        [np.flatnonzero((result.unit_area == area) & (result.unit_kind == "E")) for area in model.readout]
    )
    y = result.r_unit.values[:, :, read] @ model.stack.of("W_out")[0].T + model.stack.of("bias_out")[0]
    y = np.exp(y - y.max(axis=2, keepdims=True))
    y /= y.sum(axis=2, keepdims=True)
    return xr.DataArray(y[:, :, 0] - y[:, :, 1], {"time": result.time}, ("trial", "time"))


def right(model: cx.Model, result: xr.Dataset, trials: tasks.Trials) -> NDArray[np.bool_]:
    """Return in which trials the answer is the cued alternative; trials of several conditions follow each other."""
    window = trials.windows[0]
    first, last = (trials.task.warmup + k * trials.dt for k in (window.start, window.stop))
    answers = evidence(model, result).sel(time=slice(first, last)).mean("time").values
    sides = np.where(trials.labels["cue"] == 1, 1.0, -1.0)
    return answers * np.tile(sides, len(answers) // trials.n) > 0


def onset(trials: tasks.Trials, epoch: str) -> float:
    """Return when an epoch begins, in ms from the start of the warm-up."""
    return float(trials.task.warmup + trials.borders[trials.epochs.index(epoch)] * trials.dt)


def connections(model: cx.Model, targets: tuple[str, ...], sources: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the pairs (target, source) that are connected."""
    fln = model.connectome.fln
    return [(t, s) for t in targets for s in sources if t != s and float(fln.sel(target=t, source=s)) > 0]


def perturbations(model: cx.Model, trials: tasks.Trials, small: bool) -> dict[str, cx.Stimulus]:
    """Return what is done to the cortex, by name."""
    others = tuple(area for area in model.areas if area not in AREAS)
    delay, distractor = onset(trials, "delay"), onset(trials, "distractor")
    light = {"onset": delay + 0.3 * (distractor - delay), "duration": 0.4 * (distractor - delay)}

    def silenced(areas: tuple[str, ...]) -> cx.Stimulus:
        return sum((cx.optogenetics(areas, cell, -2000.0, **light) for cell in ("E1", "E2")), start=0)  # type: ignore

    into, out = connections(model, AREAS, others), connections(model, others, AREAS)
    found: dict[str, cx.Stimulus] = {
        "input of the two areas cut": cx.Lesion(connections=into),
        "input of the two areas cut from the delay on": cx.Lesion(connections=into, onset=delay),
        "the two areas silenced for a moment": silenced(AREAS),
        "all other areas silenced for a moment": silenced(others),
    }
    if small:
        return found
    found |= {
        "output of the two areas cut from the delay on": cx.Lesion(connections=out, onset=delay),
        "connections between the two cut": cx.Lesion(connections=connections(model, AREAS, AREAS)),
        "the rest of the prefrontal cortex silenced for a moment": silenced(PREFRONTAL),
        "V1 lesioned": cx.Lesion(areas=["V1"]),
        "V1 lesioned from the delay on": cx.Lesion(areas=["V1"], onset=delay),
        "V4 lesioned": cx.Lesion(areas=["V4"]),
        "LIP and 7A lesioned": cx.Lesion(areas=["LIP", "7A"]),
        "the rest of the prefrontal cortex lesioned": cx.Lesion(areas=PREFRONTAL),
    }
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        found[f"dopamine {value:g}"] = cx.Change(parameter="dopamine", value=value)
    for value in (0.5, 1.5):
        found[f"dopamine {value:g} from the delay on"] = cx.Change(parameter="dopamine", value=value, onset=delay)
    return found


def compared(
    models: dict[str, list[cx.Model]], chosen: argparse.Namespace
) -> tuple[dict[tuple[str, str, str], list[int]], xr.DataArray]:
    """Return [right, of] by (system, condition, kind of trial); and the cue's selectivity by system, kind, time, area.

    Selectivity is that of the rates, half the difference of r_E1 - r_E2 between trials with cue A and B.
    """
    kinds = {
        "no distractor": replace(chosen.task, distractor_strength=0.0, distractor_choice="other"),
        "distractor": replace(chosen.task, distractor_choice="other"),
    }
    counts: dict[tuple[str, str, str], list[int]] = {}
    selectivity = []
    for (system, stack), (kind, task) in ((s, k) for s in models.items() for k in kinds.items()):
        of_stack = []
        for k, model in enumerate(stack):
            trials = task.trials(chosen.trials, seed=1000 + k, dt=10.0, jitter=False)
            duration = task.warmup + trials.steps * trials.dt + EVERY
            done = perturbations(model, trials, chosen.small)
            result = cx.paired(
                model, stimuli(model, trials), done, trials=trials.n, duration=duration, seed=1000 + k, every=EVERY,
                record=["r_E1", "r_E2"], dtype="float32", progress=False,
            )  # fmt: skip
            hits = right(model, result, trials).reshape(-1, trials.n).sum(axis=1)
            for condition, n in zip(("intact", *done), hits, strict=True):
                count = counts.setdefault((system, condition, kind), [0, 0])
                count[0] += int(n)
                count[1] += trials.n
            intact = (result.r_E1 - result.r_E2)[: trials.n]
            A, B = (intact[trials.labels["cue"] == side].mean("trial") for side in (1, 2))
            of_stack.append(((A - B) / 2).drop_vars([c for c in A.coords if c not in ("time", "area")]))
        selectivity.append(xr.concat(of_stack, "network").mean("network").expand_dims(case=[f"{system}, {kind}"]))
        print(f"  compared: {system}, {kind}", flush=True)
    return counts, xr.concat(selectivity, "case")


# ---- The report


def learning(trained: dict[str, tuple[cx.Hybrid, rnn.Training, Watch]], chosen: argparse.Namespace) -> list[list[str]]:
    """Return a line of the table of training for each network."""
    rows = []
    for name, (hybrid, found, watch) in trained.items():
        performance = found.history.performance.values
        of = 100 if chosen.small else 500
        final = rnn.evaluate(hybrid, chosen.task, found.parameters, trials=of, seed=chosen.seed + 1)
        spent = dict(watch.spent)
        for k, last in enumerate(final):
            line = [f"{name} ({DOPAMINE[name]:g})", str(k)]
            for goal in (0.9, 0.99):
                reached = np.flatnonzero(performance[:, k] >= goal)
                step = int(found.history.step[reached[0]]) if reached.size else None
                line += ["never", "-"] if step is None else [str(step), f"{spent[step]:.0f}"]
            hits = round(float(last) * of)
            rows.append([*line, str(found.step), f"{watch.cpu:.0f}", share(hits, of, *wilson(hits, of))])
    return rows


def report(
    trained: dict[str, tuple[cx.Hybrid, rnn.Training, Watch]],
    counts: dict[tuple[str, str, str], list[int]],
    selectivity: xr.DataArray,
    chosen: argparse.Namespace,
) -> str:
    """Return the tables."""
    systems = list(dict.fromkeys(system for system, _, _ in counts))
    conditions = list(dict.fromkeys(condition for _, condition, _ in counts))
    small = ", small: the numbers say little" if chosen.small else ""
    lines = [
        "# Prefrontal networks in the cortex: a delayed response with a distractor",
        "",
        f"Networks of 50 units (10 inhibitory) in each of {' and '.join(AREAS)}; the other 38 areas follow "
        f"`FroudistWalsh2021`. {chosen.networks} networks at each level of dopamine; Adam, learning rate .003, 16 "
        f'trials a step, credit="open_loop", cortex at 0.5 ms and networks at 10 ms, float32. Task: cue '
        f"{chosen.task.cue:g}, delay {chosen.task.delay:g}, distractor {chosen.task.distractor:g} (either "
        f"alternative), second delay {chosen.task.second_delay:g}, response {chosen.task.response:g} ms. "
        f"Seed {chosen.seed}{small}. {machine()}.",
        "",
        "## Training from scratch",
        "",
        table(
            ["dopamine", "network", "0.9 at step", "CPU s", "0.99 at step", "CPU s", "steps", "CPU s", "performance"],
            learning(trained, chosen),
        ),
        "",
        "CPU time is that of all networks of a line's level of dopamine, in all threads, with evaluations every "
        f"{chosen.every} steps on 64 trials, and with compiling where the kernel was not on disk. Performance at the "
        "end: share of fresh trials with noise that are right, Wilson's 95 % interval.",
    ]
    for kind in ("no distractor", "distractor"):
        what = "without a distractor" if kind == "no distractor" else "with the other alternative as distractor"
        rows = []
        for condition in conditions:
            cells = []
            for system in systems:
                hits, of = counts[system, condition, kind]
                low, high = wilson(hits, of)
                cells.append(f"{hits / of:.2f} ({low:.2f}-{high:.2f})")
            rows.append([condition, *cells])
        lines += ["", f"## Performance {what}", "", table(["", *systems], rows)]
    of = next(iter(counts.values()))[1]
    lines += [
        "",
        f"Share of trials that are right, with Wilson's 95 % interval; {of} trials, {chosen.trials} for each network, "
        f"under the same noise in all conditions. Chance is .5. The untrained models are read out by r_E1 > r_E2 in "
        f"{' and '.join(AREAS)}. A moment: from 30 to 70 % of the first delay. Lesions and changes last for the whole "
        f"trial if not told otherwise; dopamine changes in the areas that follow the circuit.",
        "",
        "## Where the memory lives",
        "",
        "Selectivity for the cue, half the difference of r_E1 - r_E2 between trials with cue A and B (Hz), in the last "
        f"150 ms of either delay; `areas` is the number of areas, of 40, above {SELECTIVE:g} Hz. Below 0: for "
        "the distractor.",
        "",
    ]
    shown = ["V1", "V4", "MT", "LIP", "7A", "8l", "9/46v", *AREAS, "24c"]
    rows = []
    for case, epoch, values in by_epoch(selectivity, chosen.task):
        if epoch == "first" and ", distractor" in case:
            continue
        rows.append(
            [
                case,
                epoch,
                f"{int((values > SELECTIVE).sum())}",
                *(f"{float(values.sel(area=area)):.1f}" for area in shown),
            ]
        )
    lines.append(table(["", "delay", "areas", *shown], rows))
    return "\n".join(lines) + "\n"


def by_epoch(selectivity: xr.DataArray, task: tasks.DelayedResponse) -> Iterator[tuple[str, str, xr.DataArray]]:
    """Return the selectivity (area) at the end of either delay, with the names of case and delay."""
    trials = task.trials(1, dt=10.0, jitter=False)
    for case in selectivity.case.values:
        for name, end in (("first", onset(trials, "distractor")), ("second", onset(trials, "response"))):
            yield str(case), name, selectivity.sel(case=case, time=slice(end - 150, end - 1)).mean("time")


def write(folder: Path, text: str, tables: dict[str, list[dict[str, object]]], weights: dict[str, NDArray]) -> None:
    """Write the report, its CSV files, and the weights of one network of each level, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{NAME}.part"
    part.write_text(text, encoding="utf-8")
    os.replace(part, folder / f"{NAME}.md")
    for suffix, rows in tables.items():
        with part.open("w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            out.writeheader()
            out.writerows(rows)
        os.replace(part, folder / f"{NAME}{suffix}.csv")
    with part.open("wb") as file:
        np.savez_compressed(file, **weights)
    os.replace(part, folder / f"{NAME}.npz")


def run(chosen: argparse.Namespace) -> None:
    """Train, compare, and tell."""
    trained = {name: train(name, chosen) for name in DOPAMINE}
    models: dict[str, list[cx.Model]] = {}
    for name, dopamine in DOPAMINE.items():
        hybrid, found, _ = trained[name]
        models[f"model, dopamine {dopamine:g}"] = [hybrid.without()] * chosen.networks
        models[f"hybrid, dopamine {dopamine:g}"] = [
            hybrid.with_stack(found.parameters, network=k) for k in range(chosen.networks)
        ]
    counts, selectivity = compared(models, chosen)
    text = report(trained, counts, selectivity, chosen)
    print(text)
    if chosen.write:
        curve = [
            {
                "dopamine": DOPAMINE[name],
                "network": k,
                "step": int(step),
                "loss": round(float(found.history.loss[i, k]), 5),
                "performance": round(float(found.history.performance[i, k]), 4),
                "cpu_s": dict(watch.spent)[int(step)],
            }
            for name, (_, found, watch) in trained.items()
            for i, step in enumerate(found.history.step.values)
            for k in range(chosen.networks)
        ]
        areas = [
            {"case": case, "delay": epoch, "area": area, "selectivity_Hz": round(float(values.sel(area=area)), 3)}
            for case, epoch, values in by_epoch(selectivity, chosen.task)
            for area in values.area.values
        ]
        weights = {
            f"{name}/{key}": value
            for name, (_, found, _) in trained.items()
            for key, value in found.parameters.select([0])._asdict().items()
        }
        write(chosen.results, text, {"": curve, "_areas": areas}, weights)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", type=int, help="for each level of dopamine (3; small: 1)")
    parser.add_argument("--steps", type=int, help="training steps (200; small: 20)")
    parser.add_argument("--every", type=int, help="training steps between evaluations (10; small: 10)")
    parser.add_argument("--trials", type=int, help="of each network in each condition of the comparison (32; small: 8)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help=f"of the checkpoints ({NAME}, or {NAME}_small)")
    parser.add_argument("--small", action="store_true", help="a minute or two: shows that it runs, and little more")
    parser.add_argument("--write", action="store_true", help="write report, curves, areas and weights too")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to (benchmarks/results)")
    chosen = parser.parse_args()
    if chosen.small and chosen.write and chosen.results == RESULTS:
        parser.error("benchmarks/results/ keeps full runs only; leave --small out, or name another folder by --results")
    for name, full, small in (("networks", 3, 1), ("steps", 200, 20), ("every", 10, 10), ("trials", 32, 8)):
        if getattr(chosen, name) is None:
            setattr(chosen, name, small if chosen.small else full)
    if chosen.folder is None:
        chosen.folder = Path(f"{NAME}_small" if chosen.small else NAME)
    chosen.task = SHORT if chosen.small else TASK
    run(chosen)


if __name__ == "__main__":
    main()
