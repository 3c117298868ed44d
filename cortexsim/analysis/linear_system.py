"""A model linearised about a state, with the variables that are not integrated eliminated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsim.analysis.vector_field import Floats, Local, VectorField


@dataclass(frozen=True, eq=False)
class LinearSystem:
    r"""The linear system dy/dt = J y about a state, with z = K y for what the equation does not integrate.

    With the residuals f(y, z) = dy/dt and g(y, z) = z_new - z, and g = 0 at all times,
    :math:`K = -g_z^{-1} g_y` and :math:`J = f_y + f_z K`.

    Parameters
    ----------
    field, local
        The vector field, and its values at the state.
    jacobian
        J, (mode, mode), per ms.
    expand
        (variable and area, mode): from y to all variables; the identity on y, K on z.
    entry
        (mode, variable and area): what a change of each residual does to dy/dt; the identity on f, -f_z g_z^-1 on g.
    """

    field: VectorField
    local: Local
    jacobian: Floats
    expand: Floats
    entry: Floats

    @property
    def integrated(self) -> NDArray[np.bool_]:
        """Whether each (variable and area) is integrated."""
        return self.local.integrated.ravel()


def linearise(field: VectorField, x: Floats) -> LinearSystem:
    """Return the linear system about the state `x` (variable, area).

    Raises
    ------
    ValueError
        If the equation is not finite there, or does not determine what it does not integrate.
    """
    local = field.local(x)
    full = field.assemble(local).reshape(x.size, x.size)
    if not np.isfinite(full).all():
        raise ValueError("The Jacobian must be finite at the state, but is not; take another state.")
    y = local.integrated.ravel()
    expand, entry = np.eye(x.size)[:, y], np.eye(x.size)[y]
    if not y.all():
        try:
            inverse = np.linalg.inv(full[np.ix_(~y, ~y)])
        except np.linalg.LinAlgError as error:
            raise ValueError("Variables that are not integrated must follow from the others, but do not.") from error
        expand[~y] = -inverse @ full[np.ix_(~y, y)]
        entry[:, ~y] = -full[np.ix_(y, ~y)] @ inverse
    return LinearSystem(field, local, full[y] @ expand, expand, entry)


def growth_rate(field: VectorField, x: Floats) -> float:
    """Return the largest real part of the eigenvalues about the state `x`, per ms."""
    return float(np.linalg.eigvals(linearise(field, x).jacobian).real.max())
