"""The compiled layer: elementary functions, random numbers, layouts, and what they cost."""

import hashlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from numba import njit
from scipy import stats

import cortexsim as cx
from cortexsim import circuits
from cortexsim.kernel import build, maths, random, reading, source
from cortexsim.kernel.simd import load, spread, store

PRECISIONS = ("float64", "float32")


def run_on_lanes(function, x):
    """Apply a function of lanes to an array."""
    n = 8

    @njit(error_model="numpy", fastmath=maths.FLAGS)
    def loop(x, y):
        for block in range(x.size // n):
            store(y, block * n, function(load(x, block * n, n)))

    padded = np.concatenate([x, np.ones(-x.size % n, x.dtype)])
    y = np.empty_like(padded)
    loop(padded, y)
    return y[: x.size], loop


def ulps(y, exact):
    """Return the error of y in units in the last place of the exact value."""
    rounded = exact.astype(y.dtype)
    return np.abs((y.astype(np.longdouble) - exact) / np.spacing(np.abs(rounded)).astype(np.longdouble))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "log"])
def test_elementary_functions_are_right_to_three_ulp_over_their_whole_range(name, dtype):
    rng = np.random.default_rng(0)
    # exp below 2^-1021 (2^-125) is 0 by design, so the range ends before.
    top = 700 if dtype == "float64" else 86
    x = np.concatenate([rng.uniform(-top, top, 40_000), rng.normal(size=20_000), 1e-6 * rng.normal(size=10_000)])
    if name == "log":
        x = np.exp(x)
    x = x.astype(dtype)
    y, _ = run_on_lanes(getattr(maths, name), x)
    exact = getattr(np, name)(x.astype(np.longdouble))
    assert ulps(y, exact).max() < 3
    with pytest.raises(TypeError, match=f"use numpy.{name}"):
        getattr(maths, name)(1.0)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_elementary_functions_keep_nan_and_the_limits(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30], dtype)
    expected = {
        "exp": [np.nan, np.inf, 0, 1, np.inf, 0],
        "expm1": [np.nan, np.inf, -1, 0, np.inf, -1],
        "tanh": [np.nan, 1, -1, 0, 1, -1],
    }
    for name, wanted in expected.items():
        np.testing.assert_array_equal(run_on_lanes(getattr(maths, name), x)[0], np.array(wanted, dtype))
    y, _ = run_on_lanes(maths.log, np.array([np.nan, np.inf, -1.0, 0.0, 1.0], dtype))
    np.testing.assert_array_equal(y, np.array([np.nan, np.inf, np.nan, -np.inf, 0.0], dtype))


def test_elementary_functions_call_no_library_and_use_vector_registers():
    for name in ("exp", "expm1", "tanh", "log"):
        _, loop = run_on_lanes(getattr(maths, name), np.ones(8))
        assembly = "\n".join(loop.inspect_asm().values())
        assert re.search(r"[yz]mm|v\d+\.2d", assembly)
        assert not re.search(r"call\w*\s+.*\b(exp|expm1|tanh|log)\b", assembly)


def philox(counter, key):
    @njit
    def loop(c, k, out):
        words = random.philox(load(c, 0, 8), load(c, 8, 8), load(c, 16, 8), load(c, 24, 8), k[0], k[1])
        store(out, 0, words[0])
        store(out, 8, words[1])
        store(out, 16, words[2])
        store(out, 24, words[3])

    out = np.zeros(32, np.uint32)
    loop(np.repeat(np.array(counter, np.uint32), 8), np.array(key, np.uint32), out)
    return [int(w) for w in out[::8]]


def test_philox_gives_the_known_answers_of_its_authors():
    """Known answers of Random123 1.14 (kat_vectors, philox4x32 with 10 rounds)."""
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    assert philox(pi, [0xA4093822, 0x299F31D0]) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.fixture(scope="module")
def drawn():
    """2.56 million normals: (step, variable, lane)."""

    @njit
    def loop(keys, out):
        for n in range(out.shape[0]):
            z = random.normals(spread(np.uint32(n), 8), load(keys, 0, 8), load(keys, 8, 8), load(keys, 16, 8), 5, 0)
            row = out[n]
            store(row, 0, z[0])
            store(row, 8, z[1])
            store(row, 16, z[2])
            store(row, 24, z[3])

    keys = np.concatenate([np.zeros(8), np.arange(8), np.zeros(8)]).astype(np.uint32)
    out = np.empty((80_000, 32), np.float32)
    loop(keys, out)
    return out.reshape(-1, 4, 8).astype(np.float64)


def test_normals_are_standard_normal(drawn):
    """Moments within four standard errors, and a Kolmogorov-Smirnov test at the .001 level (the numbers are fixed)."""
    z = drawn.ravel()
    for moment, value, spread_ in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**moment).mean() - value) < 4 * np.sqrt(spread_ / z.size)
    assert stats.kstest(z[:500_000], "norm").pvalue > 1e-3
    assert 4.8 < np.abs(z).max() < 6.7


def test_normals_of_neighbouring_counters_are_independent(drawn):
    """Correlations between variables, lanes and steps within five standard errors of 0."""
    flat = drawn.reshape(len(drawn), -1)
    correlation = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(len(flat))
    lagged = (flat[1:] * flat[:-1]).mean(axis=0)
    assert np.abs(lagged).max() < 5 / np.sqrt(len(flat))
    squares = flat**2 - 1
    assert np.abs((squares[:, :8] * squares[:, 8:16]).mean(axis=0)).max() < 5 * 2 / np.sqrt(len(flat))


@njit
def four_normals(step, trial, area_low, area_high, k0, k1):
    """The normals of one counter."""
    z = random.normals(spread(step, 8), spread(trial, 8), spread(area_low, 8), spread(area_high, 8), k0, k1)
    out = np.empty(32, np.float32)
    store(out, 0, z[0])
    store(out, 8, z[1])
    store(out, 16, z[2])
    store(out, 24, z[3])
    return out[::8]


def keyed_normals(seed, trial, areas, steps, variables):
    """Return (step, area, variable), from one counter after the other."""
    per_draw = {1: 4, 2: 2}.get(variables, 1)
    out = np.empty((steps, len(areas), variables))
    for k, area in enumerate(areas):
        key = int.from_bytes(hashlib.blake2b(area.encode(), digest_size=6).digest(), "little")
        for n in range(steps):
            groups = [group << 16 | key >> 32 for group in range(-(-variables // 4))]
            words = [(n // per_draw, trial, key & 0xFFFFFFFF, high, seed & 0xFFFFFFFF, seed >> 32) for high in groups]
            drawn = np.concatenate([four_normals(*map(np.uint32, w)) for w in words])
            out[n, k] = np.roll(drawn, -(n % per_draw) * variables)[:variables]
    return out


@pytest.mark.parametrize("circuit", [circuits.ReducedWongWang, circuits.MejiasWang2022, circuits.FroudistWalsh2021])
def test_noise_depends_on_seed_trial_area_and_step_alone(circuit):
    """One, two and seven variables: a counter's four normals serve four steps, two, or one; runs may stop anywhere."""
    name = "macaque40" if circuit is circuits.FroudistWalsh2021 else "macaque30"
    model = cx.Model(cx.load_connectome(name), circuit(), getattr(cx.gradients, name)())
    seed, how = 7 + (5 << 32), {"every": 0.5, "progress": False}
    given = keyed_normals(seed, 3, model.areas, 13, len(circuit.noise))
    expected = cx.simulate(model, duration=6.5, noise=given, **how).final_state.isel(trial=0)
    for trials in ([3], range(20)):
        first = cx.simulate(model, duration=1.5, seed=seed, trials=trials, **how)
        both = cx.simulate(model, duration=5, seed=seed, trials=trials, state=first, **how)
        assert np.array_equal(both.final_state.sel(trial=3), expected)


def test_every_field_of_a_block_is_a_place_of_its_own():
    layout = source.Layout(circuits.FroudistWalsh2021, ("e", "m", "not_read"), "float64")
    places = [
        layout.field(group, name)
        for group in ("state", "longrange", "inputs", "noise", "area_parameters")
        for name in getattr(layout, group)
    ]
    assert len(set(places)) == len(places) == 31 + 8 + 9 + 7 + 2
    assert max(places) < layout.fields
    assert "not_read" not in layout.area_parameters + layout.parameters
    assert "dopamine" not in layout.parameters


@pytest.mark.slow
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_the_compiled_loop_of_a_circuit_works_on_vector_registers(model, dtype):
    """A loop that fell back to scalar code would hold hardly any packed arithmetic: a tenfold loss without an error."""
    from cortexsim.kernel.lanes import Lanes

    lanes = Lanes(model, (0,), (), ("r_E1",), np.dtype(dtype), None)
    record = np.empty((1, 1, 1, len(model.areas)), dtype)
    nothing = np.zeros((1, 1, 0))
    lanes.advance(0, 1, 0.5, 0, 0, 0, 1, 1, np.zeros((1, 0, 0, 0)), nothing, 1, record)
    loop, _ = build.advance(type(model.circuit), tuple(sorted(model.parameters(1)[1])), dtype)
    fresh = njit(nogil=True, error_model="numpy", fastmath=maths.FLAGS)(loop.py_func)
    fresh.compile(loop.signatures[0])
    assembly = "\n".join(fresh.inspect_asm().values())
    suffix = "d" if dtype == "float64" else "s"
    packed = len(re.findall(rf"v(?:mul|add|sub|fn?m\w+)p{suffix}\s+.*[yz]mm", assembly))
    scalar = len(re.findall(rf"v(?:mul|add|sub|fn?m\w+)s{suffix}\s", assembly))
    if not re.search(r"[yz]mm", assembly):
        pytest.skip("not an x86 processor with AVX")
    assert packed > 300
    # Scalar by nature: the list of connections of a single trial, one product per pathway, unrolled up to eight times.
    assert scalar <= 8 * len(model.circuit.pathways)


def edited(constant):
    """Return a function whose text differs in one number, as an edit of a circuit's file would."""
    module = types.ModuleType("edited")
    exec(
        f"import numpy as np\ndef inner(x):\n    return {constant} * np.exp(x)\ndef step(x):\n    return inner(x)",
        vars(module),
    )
    return module.step


def test_an_edited_equation_has_another_digest():
    assert reading.digest(edited(1.5)) == reading.digest(edited(1.5))
    assert reading.digest(edited(1.5)) != reading.digest(edited(1.6))


def test_a_global_number_belongs_to_the_digest():
    one, two = edited(1.5), edited(1.5)
    before = reading.digest(two)
    two.__globals__["inner"].__globals__["exp"] = 3.0
    assert reading.digest(one) == before
    assert reading.digest(two) != before


WARM = """
import sys, time
import cortexsim as cx
model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
cx.simulate(model, duration=1)
from cortexsim.kernel import build
loop, _ = build.advance(type(model.circuit), tuple(sorted(model.parameters(1)[1])), "float64")
print(sum(loop.stats.cache_hits.values()), sum(loop.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_a_second_process_loads_the_kernel_from_disk(model):
    cx.simulate(model, duration=1)  # the cache is warm from here on
    out = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["1", "0"]


@pytest.mark.slow
def test_registers_of_another_width_give_the_same_bits(model, monkeypatch):
    """Blocks of 64 bytes, as on processors with AVX-512, against those of this machine (LLVM splits what it lacks)."""
    other = 32 if source.register_bytes() == 64 else 64
    here = [cx.simulate(model, duration=100, trials=n, dtype=d).final_state for n in (1, 9) for d in PRECISIONS]
    build.advance.cache_clear()
    monkeypatch.setattr(source, "register_bytes", lambda: other)
    there = [cx.simulate(model, duration=100, trials=n, dtype=d).final_state for n in (1, 9) for d in PRECISIONS]
    build.advance.cache_clear()
    for one, two in zip(here, there, strict=True):
        assert np.array_equal(one, two)
