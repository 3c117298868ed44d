"""What the papers report, against what the models do."""

import numpy as np
import pandas as pd
import pytest

from cortexsim import validate
from cortexsim.validate import froudist_walsh2021

pytestmark = pytest.mark.slow

QUICK = {"Chaudhuri2015", "Joglekar2018"}


@pytest.mark.parametrize(
    "paper", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in validate.PAPERS]
)
def test_every_claim_of_the_paper_holds_or_says_why_not(paper):
    claims = validate.claims(paper)
    assert len(claims) > 0
    assert not claims.unmet, str(claims)


def test_an_interval_of_a_claim_is_printed_and_saved(tmp_path):
    sure = validate.Claim("areas", 23, 23, 0.0, "Fig. 3", "areas")
    noisy = validate.Claim("share", 0.25, 0.3, 0.2, "Fig. 5", interval=(0.18, 0.45))
    claims = validate.Claims("Somebody2021", (sure, noisy))
    assert "observed 0.3 [0.18, 0.45] (± 0.2" in str(claims)
    claims.to_csv(tmp_path / "claims.csv")
    saved = pd.read_csv(tmp_path / "claims.csv")
    assert saved.loc[1, ["low", "high"]].tolist() == [0.18, 0.45]
    assert saved.loc[0, ["low", "high"]].isna().all()


@pytest.mark.parametrize("part", ["_persistence", "_frozen"])
def test_the_quick_claims_of_froudist_walsh_2021_hold(model, part):
    """Those without noise that take a second or two; each is exact or to its last printed digit."""
    claims = list(getattr(froudist_walsh2021, part)(model))
    assert len(claims) > 10
    assert [claim.name for claim in claims if not claim.holds and not claim.reason] == []
    assert len({claim.name for claim in claims}) == len(claims)


def test_what_depends_on_noise_says_how_surely_it_is_known(model):
    """A share of trials has Wilson's interval about it, and a tolerance as wide as chance allows two samples to lie."""
    happened = np.array([True] * 10 + [False] * 30)
    claim = froudist_walsh2021._share("held", 0.35, happened, "Fig. 5")
    low, high = claim.interval
    assert 0.14 < low < claim.observed == 0.25 < high < 0.41
    assert claim.holds
    assert not froudist_walsh2021._share("held", 0.9, happened, "Fig. 5").holds
