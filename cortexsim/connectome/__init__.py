"""Connectomes: published, synthetic, or a user's own."""

from cortexsim.connectome.connectome import Connectome
from cortexsim.connectome.files import (
    from_csv,
    from_graphml,
    from_npz,
    from_tvb_zip,
    read_connectome,
    write_connectome,
)
from cortexsim.connectome.macaque import fln_and_sln, load_connectome, single_area
from cortexsim.connectome.synthetic import sln_from_hierarchy, synthetic_connectome, synthetic_gradients

__all__ = [
    "Connectome",
    "fln_and_sln",
    "from_csv",
    "from_graphml",
    "from_npz",
    "from_tvb_zip",
    "load_connectome",
    "read_connectome",
    "single_area",
    "sln_from_hierarchy",
    "synthetic_connectome",
    "synthetic_gradients",
    "write_connectome",
]
