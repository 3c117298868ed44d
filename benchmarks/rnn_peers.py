"""Training steps of leaky networks in another framework, in that framework's own environment.

    python rnn_peers.py {torch,jax} THREADS

Reads lines of JSON: {"path": NPZ, "steps": n, "noise": bool} and answers each with {"wall", "cpu"}, seconds per step of
n steps back to back: forward, backpropagation and Adam in float32, noise drawn within the step. With "gradient": path,
loss and gradient of the first step go there instead. `rnn_training.py` starts it; it imports nothing of cortexsim.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

# Before the libraries are imported, which read them then.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), sys.argv[-1]))
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if sys.argv[-1] == "1" else ""
)

import numpy as np

SIGMA, RATE, BETAS, EPSILON = 0.1, 2e-3, (0.9, 0.999), 1e-7
TRAINED = ("W_rec", "bias", "W_in", "W_out")


class Torch:
    """PyTorch, eager: batched products over the networks, autograd, torch.optim.Adam."""

    def __init__(self, job: dict[str, np.ndarray], noise: bool) -> None:
        import torch

        torch.set_num_threads(int(sys.argv[-1]))
        self.torch, self.noise = torch, noise
        self.job = {k: torch.from_numpy(v) if v.dtype.kind == "f" else v for k, v in job.items()}
        self.parameters = {k: self.job[k].clone().requires_grad_() for k in TRAINED}
        self.adam = torch.optim.Adam(self.parameters.values(), lr=RATE, betas=BETAS, eps=EPSILON)

    def epoch(self, r, eta, inputs, steps, keep_all):
        """Return the states after each step, and the noise."""
        torch, p, job = self.torch, self.parameters, self.job
        into = int(job["into"])
        drive = p["bias"][:, None] + torch.nn.functional.pad(inputs @ p["W_in"].mT, (0, p["bias"].shape[1] - into))
        W, leak, decay = p["W_rec"].mT, job["leak"], float(job["decay"])
        states = []
        for _ in range(steps):
            z = torch.baddbmm(drive, r, W)
            if self.noise:
                z = z + SIGMA * eta
                eta = (1 - decay) * eta + (2 * decay) ** 0.5 * torch.randn_like(eta)
            r = r + leak * (torch.relu(z) - r)
            states.append(r)
        return (states if keep_all else states[-1:]), eta

    def loss(self):
        """Return the loss of each network."""
        torch, job, p = self.torch, self.job, self.parameters
        shape = (p["bias"].shape[0], job["inputs"].shape[1], p["bias"].shape[1])
        r, eta = torch.zeros(shape), torch.randn(shape)
        with torch.no_grad():
            if int(job["warmup"]):
                (r,), eta = self.epoch(r, eta, job["warmup_inputs"], int(job["warmup"]), False)
        states = []
        for inputs, steps in zip(job["inputs"], job["lengths"], strict=True):
            found, eta = self.epoch(r, eta, inputs, int(steps), True)
            states += found
            r = states[-1]
        rates = torch.stack(states)
        y = torch.sigmoid(rates[..., int(job["first_out"]) : int(job["last_out"])] @ p["W_out"].mT)
        total = 1e-5 * rates.abs().mean(dim=(0, 2, 3)) + 1e-5 * p["W_rec"].abs().mean(dim=(1, 2))
        for start, stop, target in zip(job["starts"], job["stops"], job["targets"], strict=True):
            total = total + ((y[start:stop] - target) ** 2).mean(dim=(0, 2, 3))
        return total

    def step(self) -> None:
        """Make one training step."""
        self.adam.zero_grad()
        self.loss().sum().backward()
        self.adam.step()

    def gradient(self) -> dict[str, np.ndarray]:
        """Return loss and gradient."""
        loss = self.loss()
        loss.sum().backward()
        return {"loss": loss.detach().numpy()} | {k: v.grad.numpy() for k, v in self.parameters.items()}


class Jax:
    """JAX: lax.scan over the steps of an epoch, networks side by side by vmap, all of it one jitted step."""

    def __init__(self, job: dict[str, np.ndarray], noise: bool) -> None:
        import jax
        import jax.numpy as jnp

        lengths = [int(n) for n in job["lengths"]]
        windows = [(int(a), int(b)) for a, b in zip(job["starts"], job["stops"], strict=True)]
        warmup, into = int(job["warmup"]), int(job["into"])
        read = slice(int(job["first_out"]), int(job["last_out"]))
        decay = float(job["decay"])
        inputs, first_inputs, targets, leak = (
            jnp.asarray(job[k]) for k in ("inputs", "warmup_inputs", "targets", "leak")
        )

        def epoch(p, carry, x, steps):
            drive = p["bias"] + jnp.pad(x @ p["W_in"].T, ((0, 0), (0, p["bias"].shape[0] - into)))

            def body(carry, _):
                r, eta, key = carry
                z = r @ p["W_rec"].T + drive
                if noise:
                    z = z + SIGMA * eta
                    key, now = jax.random.split(key)
                    eta = (1 - decay) * eta + (2 * decay) ** 0.5 * jax.random.normal(now, eta.shape)
                r = r + leak * (jax.nn.relu(z) - r)
                return (r, eta, key), r

            return jax.lax.scan(body, carry, None, length=steps)

        def loss(p, key):
            shape = (inputs.shape[1], p["bias"].shape[0])
            carry = (jnp.zeros(shape), jax.random.normal(key, shape), key)
            if warmup:
                carry, _ = epoch(p, carry, first_inputs, warmup)
            carry, states = jax.lax.stop_gradient(carry), []
            for k, steps in enumerate(lengths):
                carry, found = epoch(p, carry, inputs[k], steps)
                states.append(found)
            rates = jnp.concatenate(states)
            y = jax.nn.sigmoid(rates[..., read] @ p["W_out"].T)
            total = 1e-5 * jnp.abs(rates).mean() + 1e-5 * jnp.abs(p["W_rec"]).mean()
            for k, (start, stop) in enumerate(windows):
                total = total + ((y[start:stop] - targets[k]) ** 2).mean()
            return total

        slope = jax.vmap(jax.value_and_grad(loss))

        def step(p, m, v, t, keys):
            _, g = slope(p, keys)
            m = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, g)
            v = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, g)
            rate = RATE * jnp.sqrt(1 - BETAS[1] ** t) / (1 - BETAS[0] ** t)
            return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), p, m, v), m, v

        self.jax, self.compiled, self.slope = jax, jax.jit(step), jax.jit(slope)
        self.p = {k: jnp.asarray(job[k]) for k in TRAINED}
        self.m = self.v = jax.tree.map(jnp.zeros_like, self.p)
        self.keys, self.t = jax.random.split(jax.random.key(0), len(job["bias"])), 0

    def step(self) -> None:
        """Make one training step."""
        self.t += 1
        keys = self.jax.vmap(lambda key: self.jax.random.fold_in(key, self.t))(self.keys)
        self.p, self.m, self.v = self.compiled(self.p, self.m, self.v, float(self.t), keys)
        self.jax.block_until_ready(self.p)

    def gradient(self) -> dict[str, np.ndarray]:
        """Return loss and gradient."""
        loss, gradient = self.slope(self.p, self.keys)
        return {k: np.asarray(v) for k, v in {"loss": loss, **gradient}.items()}


PEERS: dict[str, Callable[..., Torch | Jax]] = {"torch": Torch, "jax": Jax}


def main() -> None:
    """Answer one line after the other."""
    answers, sys.stdout = sys.stdout, sys.stderr
    made: dict[tuple[str, bool], Torch | Jax] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = (asked["path"], asked["noise"])
        if key not in made:
            with np.load(asked["path"], allow_pickle=False) as file:
                made[key] = PEERS[sys.argv[1]]({k: file[k] for k in file.files}, asked["noise"])
        peer = made[key]
        if "gradient" in asked:
            np.savez(asked["gradient"], **peer.gradient())
            answer = {}
        else:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(asked["steps"]):
                peer.step()
            answer = {
                "wall": (time.perf_counter() - wall) / asked["steps"],
                "cpu": (time.process_time() - cpu) / asked["steps"],
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
