"""What papers and experiments report, beside what the models do."""

from __future__ import annotations

import importlib

from cortexsim._checks import check_known
from cortexsim.validate.claim import Claim, Claims, write_claims
from cortexsim.validate.intervals import chance_difference, mean_interval
from cortexsim.validate.persistence import Persistence, persistence, persistence_by_trial
from cortexsim.validate.shuffles import shuffles

# AuthorYear of each paper with claims, and the module that checks them
PAPERS = {
    "Chaudhuri2015": "chaudhuri2015",
    "FroudistWalsh2021": "froudist_walsh2021",
    "Joglekar2018": "joglekar2018",
    "MejiasWang2022": "mejias_wang2022",
    "WongWang2006": "wong_wang2006",
}

__all__ = [
    "PAPERS",
    "Claim",
    "Claims",
    "Persistence",
    "chance_difference",
    "claims",
    "mean_interval",
    "persistence",
    "persistence_by_trial",
    "shuffles",
    "write_claims",
]


def claims(paper: str) -> Claims:
    """Run the models of a paper and return its claims: expected, observed, tolerance, source.

    Parameters
    ----------
    paper
        AuthorYear, one of `PAPERS`.

    Returns
    -------
    Claims
        Prints as a table; `to_csv` saves it.

    Raises
    ------
    ValueError
        If the paper is unknown; the message names the nearest.
    """
    check_known(paper, PAPERS, what="paper", where="`claims`")
    checked: Claims = importlib.import_module(f"{__name__}.{PAPERS[paper]}").check()
    return checked
