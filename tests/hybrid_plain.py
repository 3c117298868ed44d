"""A hybrid in the threshold-linear cortex by its equations: what the compiled passes are held against."""

import numpy as np

from cortexsim.hybrid.model import READ_RATE
from cortexsim.rnn.network import activate


def plain(hybrid, stack, trials, frozen=None):
    """Return the loss of the first network without noise, outputs, and what each network received, by area.

    `frozen` is what they receive instead: arrays (step, trial, channel) by area.
    """
    by_trial, by_area = hybrid.parameters(1)
    p = {name: value[0] for name, value in (by_trial | by_area).items()}
    fln, areas, w = hybrid.weights()["fln"], list(hybrid.areas), stack._asdict()
    m = round(hybrid.dt / hybrid.step)
    E, I = np.full((trials.n, len(areas)), 10.0), np.full((trials.n, len(areas)), 35.0)  # noqa: E741
    x = {a: np.repeat(hybrid.initial(a)[np.newaxis], trials.n, axis=0) for a in hybrid.embedded}

    def rates(a):
        network = hybrid.embedded[a].network
        return x[a] if network.form == "rate" else activate(x[a], network.activation)

    def tell():
        for a, embedding in hybrid.embedded.items():
            E[:, areas.index(a)] = embedding.rate * rates(a) @ w[f"omega {a}"][0, 0]
            inhibitory = embedding.inhibitory
            I[:, areas.index(a)] = embedding.rate * rates(a)[:, inhibitory].mean(axis=1) if len(inhibitory) else 0

    names, received, outputs = list(trials.task.inputs), {a: [] for a in hybrid.embedded}, []
    direct = [names.index(c) for c in hybrid.direct(trials.task)]
    tell()
    for u in np.repeat(trials.inputs_by_epoch, trials.lengths, axis=0):
        s = {name: np.zeros((trials.n, len(areas))) for name in ("E", "I")}
        for drive in hybrid.drives:
            s[drive.input][:, areas.index(drive.area)] += drive.amplitude * u[:, names.index(drive.channel)]
        got = dict.fromkeys(hybrid.embedded, 0.0)
        for _ in range(m):
            for a in hybrid.embedded:
                columns = [
                    s[c.source][:, areas.index(a)] if c.weights is None else E @ c.weights for c in hybrid.channels(a)
                ]
                got[a] = got[a] + np.stack(columns, axis=1) / m
            held = E.copy(), I.copy()
            afar = E @ fln.T
            I_E = p["w_EE"] * E - p["w_EI"] * I + p["mu_EE"] * afar + p["I0_E"] + s["E"]
            I_I = p["w_IE"] * E - p["w_II"] * I + p["mu_IE"] * afar + p["I0_I"] + s["I"]
            E = E + hybrid.step / p["tau_E"] * (np.maximum(p["beta_E"] * I_E, 0) - E)
            I = I + hybrid.step / p["tau_I"] * (np.maximum(p["beta_I"] * I_I, 0) - I)  # noqa: E741
            for a in hybrid.embedded:
                E[:, areas.index(a)], I[:, areas.index(a)] = (v[:, areas.index(a)] for v in held)
        for a, embedding in hybrid.embedded.items():
            network = embedding.network
            received[a].append(got[a])
            given = got[a] if frozen is None else frozen[a][len(received[a]) - 1]
            drive = rates(a) @ w[f"W_rec {a}"][0].T + w[f"bias {a}"][0] + given @ w[f"into {a}"][0].T
            if network.inputs:
                drive[:, network.receiving] += u[:, direct] @ w[f"W_in {a}"][0].T
            target = activate(drive, network.activation) if network.form == "rate" else drive
            x[a] = x[a] + network.leak(hybrid.dt) * (target - x[a])
        tell()
        features = [
            rates(a)[:, hybrid.embedded[a].excitatory] if a in hybrid.embedded else E[:, [areas.index(a)]] / READ_RATE
            for a in hybrid.readout
        ]
        y = np.concatenate(features, axis=1) @ w["W_out"][0].T + w["bias_out"][0]
        outputs.append(np.exp(y) / np.exp(y).sum(axis=1, keepdims=True))
    (window,) = trials.windows
    counted = np.stack(outputs)[window.start : window.stop]
    loss = -(window.target * np.log(counted)).sum(axis=2).mean()
    return loss, np.stack(outputs), {a: np.stack(values) for a, values in received.items()}
