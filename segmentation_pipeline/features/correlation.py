"""How much features with any number of columns correlate.

What belongs here: the measure. Which features it speaks against belongs to `selection`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def correlations(centred: Numbers, blocks: Sequence[NDArray[np.intp]]) -> Numbers:
    """Square roots of the RV coefficients (Escoufier 1973) of features, (features, features).

    `centred` (n, d) are columns with mean 0, `blocks` the places of each feature's columns. Of the
    columns' ranks this is |Spearman's rho| for two numbers, |phi| for two 0/1 columns. 0 where a
    feature has no spread. Rounded to 12 digits, since the last bits of a matrix product depend on
    the machine.
    """
    columns = centred[:, np.concatenate(blocks)]
    edges = np.cumsum([0, *(len(block) for block in blocks[:-1])])
    products = columns.T @ columns
    shared = np.add.reduceat(np.add.reduceat(products * products, edges, axis=0), edges, axis=1)
    sizes = np.sqrt(np.outer(np.diag(shared), np.diag(shared)))
    found: Numbers = np.divide(shared, sizes, out=np.zeros_like(shared), where=sizes > 0)
    return np.sqrt(found).round(12)


def ranks_of(columns: Numbers) -> Numbers:
    """Ranks within each column of (n, d), with mean 0 and the spread that the column has.

    Equal values share the mean of their ranks. So a column weighs in its feature what it weighs in
    the distance.
    """
    from scipy.stats import rankdata

    centred: Numbers = rankdata(columns, axis=0)
    centred = centred - centred.mean(axis=0)
    spreads = centred.std(axis=0)
    standardised = np.divide(centred, spreads, out=np.zeros_like(centred), where=spreads > 0)
    ranks: Numbers = standardised * columns.std(axis=0)
    return ranks
