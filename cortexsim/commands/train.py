"""`cortexsim train TASK`: train a stack of networks, resumably, with a report at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cortexsim._checks import check_fraction, check_known
from cortexsim.commands.wording import EXIT_CODES, InputError, RunFailed, input_errors, progress_option

if TYPE_CHECKING:
    from cortexsim.rnn import Annealing, GatedNetwork, Network, Rule, Training
    from cortexsim.tasks import Task

_METHODS = ("bptt", "cd", "sctt", "dasc")
_NETWORKS = ("leaky", "gru", "lstm")
_SHOWN = 400  # trials of the report
_FILES = ("networks.npz", "history.nc", "networks.csv", "report.png")


@click.command(epilog=EXIT_CODES, short_help="Train networks on a task; again, to go on.")
@click.argument("task")
@click.option("--method", type=click.Choice(_METHODS), default="bptt", show_default=True, help="How to train.")
@click.option("--skip", type=int, help="Steps between skips (sctt, dasc), or factor of dt (cd): 40, 40, 10.")
@click.option("--beta", type=float, help="Share of the ordinary state in a mix, at first (sctt, dasc): .5.")
@click.option("--variant", help="dasc: released or exact.")
@click.option("--strategic", type=float, help="beta of skips over each trial of a task with several in a row.")
@click.option("--stages", type=int, help="Changes on the way to the true dynamics: 1; 0 keeps the method fixed.")
@click.option("--hold", type=int, help="Training steps of a stage: 10 floor(2000 / (stages + 1)).")
@click.option("--network", type=click.Choice(_NETWORKS), default="leaky", show_default=True, help="Kind of network.")
@click.option("--networks", type=int, default=10, show_default=True, help="Networks, each with its own weights.")
@click.option("--units", type=int, default=50, show_default=True, help="Units of a network.")
@click.option("--steps", type=int, default=40_000, show_default=True, help="Training steps, at most.")
@click.option("--goal", type=float, default=0.99, show_default=True, help="Performance from which a task is solved.")
@click.option("--to-the-end", is_flag=True, help="Train on when the goal is reached.")
@click.option("--trials", type=int, default=20, show_default=True, help="Trials of a training step.")
@click.option("--learning-rate", type=float, help="Of Adam: .1 / units.")
@click.option("--clip-norm", type=float, help="Longest gradient; longer ones are shortened.")
@click.option("--evaluate-every", type=int, default=50, show_default=True, help="Training steps.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, trials and noise.")
@click.option("--released", is_flag=True, help="As in the authors' program where it differs from the paper.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option("--threads", type=int, help="By default one for each processor.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A field of the task, as delay=300.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; cortexsim-TASK-METHOD, or -TASK-NETWORK-METHOD.")
@progress_option
def train(
    task: str,
    method: str,
    network: str,
    networks: int,
    units: int,
    steps: int,
    goal: float,
    to_the_end: bool,
    trials: int,
    evaluate_every: int,
    seed: int,
    released: bool,
    dtype: str,
    threads: int | None,
    changes: tuple[str, ...],
    out: Path | None,
    progress: bool | None,
    **options: Any,
) -> None:
    """Train a stack of networks on TASK, such as dgo, msddm, dmc or rule_reversal.

    The methods are backpropagation through time (bptt), coarse discretisation (cd), skip connections through time
    (sctt) and dynamics-adapted skip connections (dasc); all but the first give way to the true dynamics in stages. It
    ends when the mean performance of the networks that rank from 10 to 90 percent reaches the goal. GRUs and LSTMs, to
    compare with, learn by all but dasc.

    \b
    cortexsim train dgo --method dasc --skip 40 --hold 2000 --networks 4
    cortexsim train dgo --set delay=200 --steps 300 --out brief
    cortexsim train dgo --network gru --networks 4

    The folder gets checkpoint.npz, from which the same command goes on after an interruption, or with more --steps;
    and at the end networks.npz, history.nc, networks.csv and the picture report.png.
    """  # noqa: D301  (click takes the character itself as "do not rewrap")
    from cortexsim import rnn, tasks

    name = f"cortexsim-{task}-{method}" if network == "leaky" else f"cortexsim-{task}-{network}-{method}"
    folder = Path(name) if out is None else out
    with input_errors(), _failures_of_run():
        check_fraction("goal", goal)
        learnt = _task(tasks.by_name(task), changes, released)
        rule = _rule(method, released, options)
        learner = _network(network, learnt, units, released, rule)
        start = rnn.initialise(learner, networks, seed=seed, dtype=dtype)
        optimizer = rnn.Adam(
            learning_rate=0.1 / units if options["learning_rate"] is None else options["learning_rate"],
            clip_norm=options["clip_norm"],
        )
        folder.mkdir(parents=True, exist_ok=True)
        found = rnn.train(
            learner,
            learnt,
            start,
            rule,
            steps=steps,
            trials=trials,
            optimizer=optimizer,
            seed=seed,
            evaluate_every=evaluate_every,
            goal=None if to_the_end else goal,
            checkpoint=folder / "checkpoint.npz",
            checkpoint_every=evaluate_every,
            callbacks=() if _bar(progress) else (_teller(steps, goal),),
            progress=_bar(progress),
            threads=threads,
        )
    with _failures_of_run():  # what else it raises is a fault of the program
        _report(found, learner, learnt, rule, folder, goal, seed, threads)


@contextmanager
def _failures_of_run() -> Iterator[None]:
    """Show a training that diverged, and a disk that is full, as a failed run."""
    from cortexsim.rnn import TrainingDiverged

    try:
        yield
    except TrainingDiverged as error:
        raise RunFailed(str(error)) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"Option --out must name a folder, but {str(error.filename)!r} is a file.") from error
    except OSError as error:
        raise RunFailed(f"Writing failed: {error}") from error


def _task(task: Task, changes: Sequence[str], released: bool) -> Task:
    """Return the task with other fields."""
    values: dict[str, Any] = {}
    known = {field.name for field in fields(task)}
    if released and "released" in known:
        values["released"] = True
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"Option --set must be NAME=VALUE, but is {change!r}.")
        check_known(name, sorted(known), what="field", where=f"the task {task.name!r}")
        values[name] = _value(text, getattr(task, name), name)
    return replace(task, **values)


def _value(text: str, before: object, name: str) -> Any:
    """Return what a text says, in the kind of the value that it replaces."""
    if isinstance(before, bool):
        if text not in ("true", "false"):
            raise ValueError(f"Field {name!r} must be true or false, but is {text!r}.")
        return text == "true"
    if isinstance(before, tuple):
        parts = text.split(",")
        return tuple(parts if isinstance(before[0], str) else map(float, parts))
    if isinstance(before, int | float):
        try:
            return type(before)(text)
        except ValueError as error:
            kind = "a whole number" if isinstance(before, int) else "a number"
            raise ValueError(f"Field {name!r} must be {kind}, but is {text!r}.") from error
    return text


def _network(kind: str, task: Task, units: int, released: bool, rule: Rule | Annealing) -> Network | GatedNetwork:
    """Return the network; refuse a gated one what it cannot do."""
    from cortexsim import rnn

    if kind == "leaky":
        return rnn.Network.for_task(task, units=units, released=released)
    if released:
        raise ValueError(
            f"Option --released does not belong to --network {kind}, which the authors' program does not have; a "
            f"released task is --set released=true."
        )
    network = rnn.GatedNetwork.for_task(task, units=units, cell=kind)
    network.check_rule(rule.rule if isinstance(rule, rnn.Annealing) else rule)
    return network


def _rule(method: str, released: bool, options: dict[str, Any]) -> Rule | Annealing:
    """Return the method with its schedule; refuse options that are not its own."""
    from cortexsim import rnn

    rule: Rule = rnn.rules.ALL[method]()
    known = {field.name for field in fields(rule)}  # type: ignore[arg-type]
    given = {name: options[name] for name in ("skip", "beta", "variant") if options[name] is not None}
    for name in given:
        if name not in known:
            takes = " and ".join(f"--{k}" for k in sorted(known)) or "none of --skip, --beta and --variant"
            raise ValueError(f"Option --{name} does not belong to --method {method}, which takes {takes}.")
    rule = replace(rule, **given)  # type: ignore[type-var]
    if options["strategic"] is not None:
        rule = rnn.Strategic(rule, options["strategic"])
    if isinstance(rule, rnn.BPTT):
        for name in ("stages", "hold"):
            if options[name] is not None:
                raise ValueError(f"Option --{name} does not belong to --method bptt: its dynamics are the true ones.")
        return rule
    stages = 1 if options["stages"] is None else options["stages"]
    if stages == 0:
        if options["hold"] is not None:
            raise ValueError("Option --hold says how long a stage lasts, but --stages 0 has none; leave one out.")
        return rule
    return rnn.Annealing(rule, stages, options["hold"], anew=released and method == "cd")


def _bar(progress: bool | None) -> bool:
    return sys.stderr.isatty() if progress is None else progress


def _teller(steps: int, goal: float) -> Any:
    """Return a callback that says how training goes, at most every ten seconds."""
    from cortexsim.rnn import Progress, trimmed_mean

    last = time.monotonic()

    def tell(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < 10 and now.step < steps:
            return
        last = time.monotonic()
        skips = f", beta {now.rule.skips.beta:.2f}" if now.rule.skips.every else ""
        click.echo(
            f"Step {now.step} of {steps}: loss {now.loss.mean():.4f}, performance {trimmed_mean(now.performance):.3f}, "
            f"{int((now.performance >= goal).sum())} of {now.performance.size} at {goal:g}{skips}",
            err=True,
        )

    return tell


def _report(
    found: Training,
    network: Network | GatedNetwork,
    task: Task,
    rule: Rule | Annealing,
    folder: Path,
    goal: float,
    seed: int,
    threads: int | None,
) -> None:
    """Write what came out, and say it in a few lines."""
    from cortexsim import rnn
    from cortexsim.plot.training import training_report
    from cortexsim.results import replacing
    from cortexsim.rnn.solved import fraction_solved

    if found.history.sizes["step"] == 0:
        raise InputError(
            f"Training ended at step {found.step}, before the first evaluation; take more --steps, or a smaller "
            f"--evaluate-every."
        )
    solved = fraction_solved(found.history, threshold=goal)
    last = solved.isel(step=-1)
    final = found.history.performance.isel(step=-1)
    best = int(final.values.argmax())
    trials = task.trials(_SHOWN, seed=seed + 1, dt=network.dt, jitter=False)
    shown = rnn.run(network, found.parameters.select([best]), trials, seed=seed, threads=threads)
    outputs = shown.outputs.isel(network=0).transpose("time", "trial", "output").values
    title = f"{task.name}, {_told_rule(rule)}: {found.step} steps; below, network {best}"
    figure = training_report(found.history, trials, outputs, threshold=goal, title=title)
    table = solved[["first", "collapsed"]].assign(performance=final).reset_coords(drop=True).to_dataframe()
    targets = [folder / name for name in _FILES]
    with ExitStack() as stack:
        weights, history, networks, picture = (stack.enter_context(replacing(target)) for target in targets)
        rnn.save_networks(weights, network, found.parameters)
        found.history.to_netcdf(history, engine="h5netcdf")
        table.to_csv(networks, lineterminator="\n")
        figure.savefig(picture)
    why = {"goal": "the goal is reached", "steps": "as many as allowed", "callback": "stopped"}[found.stopped]
    click.echo(f"Trained for {found.step} steps, {why}; {_told(network, final.sizes['network'])}.")
    click.echo(
        f"Solved by {int(last.n)} of {final.size} ({float(last.low):.2f}-{float(last.high):.2f}), a performance of "
        f"{goal:g}; mean of the ranks from 10 to 90 %: {float(last['mean']):.3f}."
    )
    if bool(solved.collapsed.any()):
        click.echo(f"Solved and lost: networks {', '.join(map(str, solved.network.values[solved.collapsed.values]))}.")
    click.echo(f"Written: {', '.join(map(str, targets))}")


def _told_rule(rule: Rule | Annealing) -> str:
    from cortexsim.rnn import Annealing

    if not isinstance(rule, Annealing):
        return repr(rule)
    stages = f"{rule.stages} stage{'' if rule.stages == 1 else 's'}"
    return f"{rule.rule!r} in {stages} of {rule.hold} steps"


def _told(network: Network | GatedNetwork, networks: int) -> str:
    from cortexsim.rnn import GatedNetwork

    kind = network.cell.upper() if isinstance(network, GatedNetwork) else "network"
    return f"{networks} {kind}{'' if networks == 1 else 's'} of {network.units} units"
