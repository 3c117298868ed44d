"""Run the reduced Wong-Wang model in another simulator, in that simulator's own environment.

    python peers.py {tvb-library,neurolib,tvboptim} WEIGHTS.npz {float64,float32}

Reads lines of JSON, {"areas", "trials", "steps", "noise"}, and answers each with {"cpu", "S"}: CPU seconds without
compiling, and the last gating of the last trial. `reduced_wong_wang.py` starts it; it imports nothing of cortexsim.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

# Before the libraries are imported, which read them then.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np

DT, EVERY = 0.5, 10  # ms; steps
J, I0, W, SIGMA = 0.2609, 0.3, 0.6, 1e-3


def start(areas: int) -> np.ndarray:
    """Return the gating at the start, different in each area so that coupling shows."""
    return np.linspace(0.1, 0.5, areas)


def couplings(trials: int) -> np.ndarray:
    """Return the long-range coupling G of each trial."""
    return np.linspace(1.2, 1.3, trials)


class TVB:
    """The Virtual Brain: NumPy arrays, one run after the other; EulerStochastic, SubSample."""

    def __init__(self, weights: dict[str, np.ndarray], dtype: str) -> None:
        self.weights = weights

    def prepare(self, areas: int, trials: int, steps: int, noise: bool) -> Callable[[], np.ndarray]:
        """Return a function that integrates, and returns the last gating."""
        from tvb.datatypes.connectivity import Connectivity
        from tvb.simulator import coupling, integrators, models, monitors, simulator
        from tvb.simulator.noise import Additive

        weights = self.weights[str(areas)]
        connectivity = {
            "weights": weights,
            "tract_lengths": np.zeros_like(weights),
            "region_labels": np.array([str(k) for k in range(areas)]),
            "centres": np.zeros((areas, 3)),
        }

        def integrate() -> np.ndarray:
            for trial, g in enumerate(couplings(trials)):
                # nsig is half the variance per ms.
                kick = Additive(nsig=np.array([SIGMA**2 / 2]), noise_seed=trial)
                run = simulator.Simulator(
                    model=models.ReducedWongWang(w=np.array([W]), J_N=np.array([J]), I_o=np.array([I0])),
                    connectivity=Connectivity(**connectivity),
                    coupling=coupling.Linear(a=np.array([g])),
                    integrator=integrators.EulerStochastic(dt=DT, noise=kick)
                    if noise
                    else integrators.EulerDeterministic(dt=DT),
                    monitors=(monitors.SubSample(period=EVERY * DT),),
                    initial_conditions=start(areas).reshape(1, 1, areas, 1),
                    simulation_length=steps * DT,
                )
                ((_, S),) = run.configure().run()
            return S[-1, 0, :, 0]

        return integrate


class Neurolib:
    """neurolib: a Numba loop; its model adds an inhibitory population and OU noise, and keeps every step."""

    def __init__(self, weights: dict[str, np.ndarray], dtype: str) -> None:
        self.weights = weights

    def prepare(self, areas: int, trials: int, steps: int, noise: bool) -> Callable[[], np.ndarray]:
        """Return a function that integrates, and returns the last gating."""
        from neurolib.models.ww import WWModel

        weights = self.weights[str(areas)]
        runs = []
        for trial, g in enumerate(couplings(trials)):
            model = WWModel(Cmat=weights, Dmat=np.zeros_like(weights), seed=trial)
            # Without the inhibition of J_I, the excitatory half is the reduced model.
            model.params.update(
                {
                    "dt": DT,
                    "duration": steps * DT,
                    "K_gl": g,
                    "a_exc": 0.27,
                    "b_exc": 0.108,
                    "d_exc": 154.0,
                    "exc_current": I0,
                    "w_ee": W,
                    "J_NMDA": J,
                    "J_I": 0.0,
                    "sigma_ou": 1e-3 * noise,
                    "ses_init": start(areas)[:, np.newaxis],
                    "sis_init": start(areas)[:, np.newaxis],
                }
            )
            model.params["sampling_dt"] = EVERY * DT
            runs.append(model)

        def integrate() -> np.ndarray:
            for model in runs:
                model.params["exc_ou"], model.params["inh_ou"] = np.zeros((2, areas))
                model.run()
            return model.state["se"][:, -1]

        return integrate


class TVBOptim:
    """tvboptim: JAX; trials side by side by vmap, compiled before the clock starts."""

    def __init__(self, weights: dict[str, np.ndarray], dtype: str) -> None:
        import jax

        jax.config.update("jax_enable_x64", dtype == "float64")
        jax.config.update("jax_platforms", "cpu")
        self.weights, self.dtype = weights, dtype

    def prepare(self, areas: int, trials: int, steps: int, noise: bool) -> Callable[[], np.ndarray]:
        """Return a function that integrates, and returns the last gating."""
        import jax
        import jax.numpy as jnp
        from tvboptim.experimental.network_dynamics import Network, prepare
        from tvboptim.experimental.network_dynamics.coupling import LinearCoupling
        from tvboptim.experimental.network_dynamics.dynamics.tvb import ReducedWongWang
        from tvboptim.experimental.network_dynamics.graph import DenseGraph
        from tvboptim.experimental.network_dynamics.noise import AdditiveNoise
        from tvboptim.experimental.network_dynamics.solvers import Euler

        network = Network(
            ReducedWongWang(w=W, J_N=J, I_o=I0),
            {"instant": LinearCoupling(incoming_states="S", G=1.2)},
            DenseGraph(jnp.asarray(self.weights[str(areas)], dtype=self.dtype)),
            noise=AdditiveNoise(sigma=SIGMA, key=jax.random.key(0)) if noise else None,
        )
        solve, config = prepare(network, Euler(), t0=0.0, t1=steps * DT, dt=DT)
        config.initial_state.dynamics = jnp.asarray(start(areas)[np.newaxis], dtype=self.dtype)

        def one(g, key):
            config.coupling.instant.G = g
            if noise:
                config.noise.key = key
            # The solution starts after the first step.
            S = solve(config).ys[:, 0]
            return S[EVERY - 1 :: EVERY], S[-1]

        run = jax.jit(jax.vmap(one) if trials > 1 else one)
        keys, g = jax.random.split(jax.random.key(0), trials), jnp.asarray(couplings(trials), dtype=self.dtype)
        arguments = (g, keys) if trials > 1 else (g[0], keys[0])

        def integrate() -> np.ndarray:
            samples, last = jax.block_until_ready(run(*arguments))
            np.asarray(samples)
            return np.asarray(last).reshape(-1, areas)[-1]

        return integrate


PEERS = {"tvb-library": TVB, "neurolib": Neurolib, "tvboptim": TVBOptim}


def main() -> None:
    """Answer one line after the other."""
    name, path, dtype = sys.argv[1:]
    # Whatever a library prints goes to standard error: standard output carries the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    with np.load(path, allow_pickle=False) as file:
        peer = PEERS[name]({key: file[key] for key in file.files}, dtype)
    prepared = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if line not in prepared:
            prepared[line] = peer.prepare(**asked)
            prepared[line]()
        begun = time.process_time()
        S = prepared[line]()
        cpu = time.process_time() - begun
        answers.write(json.dumps({"cpu": cpu, "S": [float(s) for s in S]}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
