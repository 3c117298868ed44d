"""An atlas of lesions: what becomes of a memory when one area after the other is taken away.

The model is that of Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H,
Palomero-Gallagher N, Wang X-J (2021). A dopamine gradient controls access to distributed working memory in the
large-scale monkey cortex. Neuron 109:3500-3520, doi 10.1016/j.neuron.2021.08.024. The paper has no such atlas; lesions
of single areas are the theme of Mejias JF, Wang X-J (2022), eLife 11:e72136, doi 10.7554/eLife.72136.

Each of the 40 areas is lesioned at dopamine 1 and 1.5 in three ways: from the start of the trial, which may keep the
cue from being loaded; in the delay, 0.6 s after the cue; and from the start with the connections of the others shared
out anew, as after a recovery. A lesion abolishes the memory if no other area holds it any more, weakens it if fewer of
the others do than without the lesion, and spares it otherwise.

It prints the effects and writes lesion_atlas.csv, one row per lesion, and lesion_atlas.png to the working directory, or
to --out FOLDER. Seconds; the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

DOPAMINE = (1.0, 1.5)
KINDS = {"start": {}, "delay": {"onset": 2000}, "renormalised": {"renormalise": True}}
MEANING = """\
# Lesions of one area at a time in the model of Froudist-Walsh et al. 2021, doi 10.1016/j.neuron.2021.08.024, without
# noise, by examples/lesion_atlas.py. A cue to E1 of V1 at 1 s lasts 0.4 s; an area holds it if E1 of 4.5 to 5 s is
# above that of 0.5 to 1 s by more than 5 Hz. lesion: from the start, in the delay (2 s), or from the start with the
# weights of the others normalised anew. Of the other areas, n_persistent hold the cue, and n_intact of them without the
# lesion; lost and gained tell them apart. activity_hz: their mean delay activity above baseline; relative_activity: by
# that of the intact cortex.
"""
COLUMNS = ("effect", "n_persistent", "n_intact", "lost", "gained", "activity", "relative_activity")


def main(out: Path = Path()) -> None:
    """Lesion all areas, print what abolishes and weakens the memory, and write table and figure into `out`."""
    atlases = {(dopamine, kind): atlas(dopamine, **how) for dopamine in DOPAMINE for kind, how in KINDS.items()}
    for (dopamine, kind), one in atlases.items():
        print(f"Dopamine {dopamine:g}, {kind}:")
        for effect in ("abolishes", "weakens"):
            areas = one.area[one.effect == effect].to_numpy()
            print(f"  {effect}: {', '.join(map(str, areas)) or 'none'}")

    out.mkdir(parents=True, exist_ok=True)
    path, picture = out / "lesion_atlas.csv", out / "lesion_atlas.png"
    rows = table(atlases).to_csv(index=False, float_format="%.4f", lineterminator="\n")
    path.write_text(MEANING + rows, encoding="utf-8", newline="")
    draw({f"Dopamine {d:g}, lesion in the delay": atlases[d, "delay"] for d in DOPAMINE}).savefig(picture)
    print(f"\nWrote {path} and {picture}")


def atlas(dopamine: float, **how) -> xr.Dataset:
    """Lesion each area in turn."""
    circuit = cx.circuits.FroudistWalsh2021(dopamine=dopamine)
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    return cx.analysis.lesion_atlas(model, cx.working_memory(), **how)


def table(atlases: dict[tuple[float, str], xr.Dataset]) -> pd.DataFrame:
    """Return one row per dopamine, kind of lesion and area."""
    parts = [
        one[list(COLUMNS)].reset_coords(drop=True).to_dataframe().reset_index().assign(dopamine=dopamine, lesion=kind)
        for (dopamine, kind), one in atlases.items()
    ]
    rows = pd.concat(parts)[["dopamine", "lesion", "area", *COLUMNS]]
    return rows.rename(columns={"activity": "activity_hz"})


def draw(atlases: dict[str, xr.Dataset]) -> Figure:
    """Return the figure: each atlas on the cortex, seen from the side and from the midline."""
    with cx.plot.styled():
        figure = Figure(figsize=(9.0, 3.1 * len(atlases)), dpi=150, layout="constrained")
        for row, (name, one) in zip(figure.subfigures(len(atlases), 1), atlases.items(), strict=True):
            row.suptitle(name, fontsize=9)
            cx.plot.lesion_atlas(one, ax=list(row.subplots(1, 2)))
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
