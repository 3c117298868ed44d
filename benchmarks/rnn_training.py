"""What a training step of leaky networks costs, against the machine's matrix product and, with --peers, others.

    python benchmarks/rnn_training.py                   # minutes; prints the tables
    python benchmarks/rnn_training.py --peers FOLDER    # beside others: requirements-rnn-peers.txt says how
    python benchmarks/rnn_training.py --write           # the same, and into benchmarks/results/
    python benchmarks/rnn_training.py --quick           # seconds; shows that it runs, its numbers say little

A step is the forward pass, backpropagation through time and Adam, in float32, with noise drawn within the step:

    P    100 networks of 50 units, 20 trials, delayed go: warm-up of 200 steps and 500 steps    20.3 GFLOP
    P1   one of them                                                                             0.20
    Q10  10 networks of 50 units, 20 trials, 1500 steps without warm-up                          5.6
    R    one network of 256 units, 64 trials, 1500 steps                                        39.6

FLOP are those of the matrix products that a step needs, with the numbers of units and channels as they are. All take
turns; a measurement is the mean of steps back to back. The machine must have nothing else to do: threads of PyTorch
wait for each other busily, and for one that does not run take ten times as long and more.
"""

from __future__ import annotations

import os

# Before NumPy is imported, which reads them then.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import in_turn, machine, spread, table

from cortexsim import rnn, tasks
from cortexsim.rnn.passes import Passes, parts_of

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "rnn_training.md"
PEERS = ("torch", "jax")
COMPARED = ("loss", "W_rec", "bias", "W_in", "W_out")
AIMS = {("P", 2): 170.0, ("P1", 1): 3.5, ("Q10", 2): 55.0}  # ms, for the machine of the first measurements


@dataclass(frozen=True)
class Workload:
    """Networks of some units on trials of a delayed-go task."""

    name: str
    networks: int
    units: int
    trials: int
    task: tasks.Task
    steps: int

    @property
    def network(self) -> rnn.Network:
        """As in the program of Soo, Goudar and Wang."""
        return rnn.Network.for_task(self.task, units=self.units, released=True)

    @property
    def gflop(self) -> float:
        """Useful floating-point operations of a training step."""
        network, trials = self.network, self.batch()
        read = network.read.stop - network.read.start
        windows = sum(w.stop - w.start for w in trials.windows)
        recurrent = (trials.warmup + 3 * trials.steps) * self.units**2
        return 2e-9 * self.networks * self.trials * (recurrent + 3 * windows * network.outputs * read)

    def batch(self) -> tasks.Trials:
        """Return the trials of a step."""
        return self.task.trials(self.trials, seed=1, jitter=False)

    def parameters(self) -> rnn.Parameters:
        """Return the weights to start from."""
        return rnn.initialise(self.network, self.networks)


def workloads(quick: bool) -> list[Workload]:
    """Return what is measured; `steps` back to back."""
    task = tasks.DelayedGo()
    long = tasks.DelayedGo(warmup=0.0, delay=6000.0)
    if quick:
        short = tasks.DelayedGo(warmup=50.0, fixation=100.0, stimulus=100.0, delay=100.0, response=300.0, jitter=0.0)
        return [Workload("P", 4, 50, 20, short, 1), Workload("P1", 1, 50, 20, short, 1)]
    return [
        Workload("P", 100, 50, 20, task, 2),
        Workload("P1", 1, 50, 20, task, 50),
        Workload("Q10", 10, 50, 20, long, 3),
        Workload("R", 1, 256, 64, long, 1),
    ]


def ours(work: Workload, threads: int, noise: bool = True) -> Callable[[], float]:
    """Return a function that makes steps, and returns the wall-clock seconds of one."""
    adam, trials, parameters = rnn.Adam(), work.batch(), work.parameters()
    passes = Passes(work.network, "float32", threads)
    parts = parts_of(work.trials, work.networks, threads)
    state = [parameters, adam.start(parameters)]

    def steps() -> float:
        begun = time.perf_counter()
        for k in range(work.steps):
            _, gradient = passes.gradients(
                state[0], trials, rnn.BPTT(), penalties=rnn.Penalties(), step=k, parts=parts, noise=noise
            )
            state[:] = adam.update(state[0], gradient, state[1], 2e-3)
        return (time.perf_counter() - begun) / work.steps

    return steps


def peak(threads: int, n: int) -> Callable[[], float]:
    """Return a function that multiplies matrices in each of some threads, and returns GFLOP/s of all."""
    a = np.random.default_rng(0).random((n, n), dtype=np.float32)

    def product(_: int) -> None:
        a @ a

    def measured() -> float:
        begun = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(product, range(threads)))
        return threads * 2e-9 * n**3 / (time.perf_counter() - begun)

    return measured


def write_job(work: Workload, path: Path) -> None:
    """Write what the other frameworks need to make the same step."""
    network, trials, p = work.network, work.batch(), work.parameters()
    np.savez(
        path,
        **{name: getattr(p, name) for name in ("W_rec", "bias", "W_in", "W_out")},
        inputs=trials.inputs_by_epoch.astype("f"),
        warmup_inputs=trials.warmup_inputs.astype("f"),
        warmup=trials.warmup,
        lengths=trials.lengths,
        starts=[w.start for w in trials.windows],
        stops=[w.stop for w in trials.windows],
        targets=np.stack([w.target for w in trials.windows]).astype("f"),
        leak=network.leak(trials.dt).astype("f"),
        decay=trials.dt / network.tau_noise,
        into=network.receiving.stop,
        first_out=network.read.start,
        last_out=network.read.stop,
    )


@contextlib.contextmanager
def started(name: str, folder: Path, threads: int) -> Iterator[Callable[..., dict[str, float]]]:
    """Start a framework in its environment; yield a function that asks it."""
    command = [str(folder / name / "bin" / "python"), str(HERE / "rnn_peers.py"), name, str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(**what: object) -> dict[str, float]:
            process.stdin.write(json.dumps(what) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{name} stopped; start rnn_peers.py by hand in its environment to see why.")
            return json.loads(line)

        yield ask
        process.stdin.close()


def step_of(ask: Callable[..., dict[str, float]], path: Path, steps: int) -> Callable[[], float]:
    """Return a function that has a framework make steps, and returns the wall-clock seconds of one."""
    return lambda: ask(path=str(path), noise=True, steps=steps)["wall"]


def differences(work: Workload, ask: Callable[..., dict[str, float]], folder: Path) -> dict[str, float]:
    """Return how far losses and gradients without noise are apart, relative to the largest."""
    ask(path=str(folder / f"{work.name}.npz"), noise=False, gradient=str(folder / "gradient.npz"))
    with Passes(work.network, "float32", 1) as passes:
        loss, gradient = passes.gradients(
            work.parameters(), work.batch(), rnn.BPTT(), penalties=rnn.Penalties(), noise=False
        )
    found = {"loss": loss, **gradient._asdict()}
    with np.load(folder / "gradient.npz", allow_pickle=False) as other:
        return {name: float(np.abs(found[name] - other[name]).max() / np.abs(other[name]).max()) for name in COMPARED}


def report(quick: bool, peers: Path | None) -> str:
    """Measure and return the report."""
    works, rounds, n = workloads(quick), 2 if quick else 7, 256 if quick else 2048
    present = [name for name in PEERS if peers is not None and (peers / name / "bin" / "python").exists()]
    rows, aims, agreed = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for work in works:
            write_job(work, folder / f"{work.name}.npz")
        for threads in (1, 2):
            with contextlib.ExitStack() as stack:
                asks = {name: stack.enter_context(started(name, peers, threads)) for name in present}
                for work in works:
                    runs: dict[str, Callable[[], float]] = {
                        "cortexsim": ours(work, threads),
                        "cortexsim, noise off": ours(work, threads, noise=False),
                        "sgemm": peak(threads, n),
                    }
                    for name, ask in asks.items():
                        if threads == 1:
                            apart = differences(work, ask, folder)
                            agreed += [[work.name, name, *(f"{v:.1e}" for v in apart.values())]]
                        runs[name] = step_of(ask, folder / f"{work.name}.npz", max(1, work.steps // 10))
                    found = in_turn(rounds, runs)
                    peaks = found.pop("sgemm")
                    for name, seconds in found.items():
                        share = [100 * work.gflop / s / p for s, p in zip(seconds, peaks, strict=True)]
                        ratio = [s / o for s, o in zip(seconds, found["cortexsim"], strict=True)]
                        rows.append(
                            [
                                work.name,
                                str(threads),
                                name,
                                spread([1e3 * s for s in seconds]),
                                f"{work.gflop / statistics.median(seconds):.1f}",
                                spread(share, 0),
                                "" if name == "cortexsim" else spread(ratio, 2),
                            ]
                        )
                    if not quick and (aim := AIMS.get((work.name, threads))) is not None:
                        median = 1e3 * statistics.median(found["cortexsim"])
                        aims.append(
                            [work.name, str(threads), f"{aim:g}", f"{median:.1f}", "yes" if median <= aim else "no"]
                        )
    absent = [name for name in PEERS if name not in present]
    parts = [
        "# A training step of leaky networks",
        f"{'Quick run, which says little. ' if quick else ''}float32; medians (smallest-largest) of {rounds} rounds. "
        f"{machine()}",
        "## Training step",
        table(
            [
                "workload",
                "threads",
                "program",
                "ms per step",
                "GFLOP/s",
                "% of sgemm in the same round",
                "over cortexsim",
            ],
            rows,
        ),
    ]
    if aims:
        parts += [
            "## Aims",
            table(["workload", "threads", "aim (ms)", "median (ms)", "met"], aims),
            "They were set on a processor with AVX-512 whose matrix product makes 103 GFLOP/s a thread.",
        ]
    if agreed:
        parts += [
            "## Largest difference of losses and gradients, noise off",
            "Relative to the largest loss of a network, or component of the gradient.",
            table(["workload", "framework", *COMPARED], agreed),
        ]
    if absent:
        parts.append(f"Not measured, as not installed: {', '.join(absent)} (`requirements-rnn-peers.txt`).")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help=f"virtual environments named {', '.join(PEERS)}")
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"write the report to {RESULTS.name} too")
    chosen = parser.parse_args()
    if chosen.quick and chosen.write:
        parser.error("--write keeps full runs only; leave --quick out")
    if chosen.peers and not chosen.peers.is_dir():
        parser.error(f"--peers must be a folder, but {chosen.peers} is none")
    text = report(chosen.quick, chosen.peers)
    print(text, end="")
    if chosen.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
