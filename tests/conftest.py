from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the reference tables, which lie outside the repository: no {folder}")
    return folder


@pytest.fixture(scope="session")
def model():
    """The published model: 40 areas, dopamine 1.5."""
    import cortexsim as cx

    return cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
