"""What the papers report, against what the models do."""

import pytest

from cortexsim import validate

QUICK = {"Chaudhuri2015", "Joglekar2018"}


@pytest.mark.parametrize(
    "paper", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in validate.PAPERS]
)
def test_every_claim_of_the_paper_holds_or_says_why_not(paper):
    claims = validate.claims(paper)
    assert len(claims) > 0
    assert not claims.unmet, str(claims)
