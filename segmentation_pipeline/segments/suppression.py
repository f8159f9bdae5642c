"""Which counts of a table are withheld, so that no small group can be told from what is published.

What belongs here: the choice of cells, by their counts alone. A cell of 1 up to one below the
privacy floor is withheld; so are others, or subtraction from the totals would give it back. Zeros
stay. What is in the tables belongs to `suppressed_rows`.

A withheld cell is safe in a rectangle: of four withheld cells at the crossings of two rows and two
columns, two may grow by as much as the other two shrink, and no total tells (the hypercube method:
Repsilber 1994; Giessing & Repsilber 2002). How far they may is the width of what a reader can infer
of the cell; rectangles are chosen such that it is no less than the floor, wherever the table has
one, and among those the one that withholds the fewest customers.
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Hidden = NDArray[np.bool_]
Completed = NDArray[np.float64]

_MOST_LINES = 64
"""Rows and columns that are looked at for a rectangle; enough for each table that people read."""
_COMPLETION_ROUNDS = 50


def hidden_cells(
    counts: Counts,
    smallest_group: int,
    *,
    has_total_row: bool,
    impossible: Hidden | None = None,
) -> Hidden:
    """Choose the cells to withhold from a table whose totals are known.

    Args:
        counts: customers by row and column, shape (rows, columns). The totals of the rows are known
            whatever is withheld here: they are sizes of segments.
        smallest_group: the privacy floor; cells from 1 up to it, exclusive, are withheld.
        has_total_row: whether the totals of the columns are published too. They make one more row,
            which may tell of small groups itself; else they are known.
        impossible: cells of `counts` that everybody knows to be 0; nothing hides behind them. Only
            where there is no row of totals.

    Returns:
        Which cells are withheld, shape (rows, columns), with one more row where there are totals.

    """
    table = np.vstack([counts, counts.sum(axis=0)]) if has_total_row else counts.copy()
    hidden: Hidden = (table > 0) & (table < smallest_group)
    small = np.argwhere(hidden)
    total = len(counts) if has_total_row else None
    known = np.zeros_like(hidden) if impossible is None else impossible
    for row, column in small[np.argsort(table[hidden], kind="stable")]:
        _protect(table, hidden, known, (int(row), int(column)), smallest_group, total)
    return hidden


def hidden_groups(counts: Counts, smallest_group: int) -> Hidden:
    """Choose the groups to withhold from a list, shape (n,), whose total is known.

    The next smallest are withheld too, until those withheld are together no small group.
    """
    hidden: Hidden = (counts > 0) & (counts < smallest_group)
    if not hidden.any():
        return hidden
    for index in np.argsort(counts, kind="stable"):
        if hidden.sum() > 1 and counts[hidden].sum() >= smallest_group:
            break
        if counts[index] > 0:
            hidden[index] = True
    return hidden


def completed_counts(
    known: Completed, row_totals: Completed, column_totals: Completed
) -> Completed:
    """Fill withheld cells (NaN) by what the totals suggest, and by nothing else.

    Iterative proportional fitting (Deming & Stephan 1940) of an even start: the least assuming
    table with the totals that are known. What is computed from it tells no more than what is
    published.

    Args:
        known: counts with NaN where withheld, shape (rows, columns).
        row_totals: shape (rows,).
        column_totals: shape (columns,), with NaN where withheld.

    """
    withheld = np.isnan(known)
    if not withheld.any():
        return known
    columns = column_totals.copy()
    unknown = np.isnan(columns)
    if unknown.any():
        columns[unknown] = (row_totals.sum() - columns[~unknown].sum()) / unknown.sum()
    published = np.where(withheld, 0.0, known)
    rest_of_rows = np.maximum(row_totals - published.sum(axis=1), 0.0)
    rest_of_columns = np.maximum(columns - published.sum(axis=0), 0.0)
    filled: Completed = withheld.astype(np.float64)
    for _ in range(_COMPLETION_ROUNDS):
        filled *= _ratio(rest_of_columns, filled.sum(axis=0))
        filled *= _ratio(rest_of_rows, filled.sum(axis=1))[:, np.newaxis]
    return published + filled


def _protect(
    table: Counts,
    hidden: Hidden,
    known: Hidden,
    place: tuple[int, int],
    smallest_group: int,
    total: int | None,
) -> None:
    """Complete the cheapest rectangle that hides a cell; nothing where none is possible."""
    row, column = place
    cell = int(table[row, column])
    rows = _candidates(table[:, column], hidden[:, column], row, smallest_group - cell)
    columns = _candidates(table[row], hidden[row], column, smallest_group - cell)
    if not len(rows) or not len(columns):
        return
    beside = np.broadcast_to(table[row, columns], (len(rows), len(columns)))
    below = np.broadcast_to(table[rows, column][:, np.newaxis], beside.shape)
    across = table[np.ix_(rows, columns)]
    up, down = np.minimum(below, beside), np.minimum(cell, across)
    if total is not None:
        # The total of a column grows with the cell, where another cell of it would shrink.
        is_total = (rows == total) | (row == total)
        up = np.where(is_total[:, np.newaxis], np.minimum(beside, across), up)
        down = np.where(is_total[:, np.newaxis], np.minimum(cell, below), down)
    is_known = (
        known[np.ix_(rows, columns)] | known[row, columns] | known[rows, column][:, np.newaxis]
    )
    if is_known.all():
        return
    width = np.where(is_known, -1, np.minimum(up + down, smallest_group))
    cost = (
        _price(beside, np.broadcast_to(hidden[row, columns], beside.shape))
        + _price(below, np.broadcast_to(hidden[rows, column][:, np.newaxis], beside.shape))
        + _price(across, hidden[np.ix_(rows, columns)])
    )
    # Room counts first, then how many customers are withheld; ties go to the first row and column.
    dearest = 3 * (int(table.sum()) + 1)
    best = np.argmin((smallest_group - width) * dearest + cost)
    other_row, other_column = rows[best // len(columns)], columns[best % len(columns)]
    for other in ((other_row, column), (row, other_column), (other_row, other_column)):
        hidden[other] = True


def _candidates(counts: Counts, hidden: Hidden, own: int, needed: int) -> NDArray[np.intp]:
    """Other lines for a rectangle, in order: all, or where there are many, the most promising."""
    others = np.delete(np.arange(len(counts)), own)
    if len(others) <= _MOST_LINES:
        return others
    has_room = counts[others] >= needed
    promising = np.lexsort((counts[others], ~hidden[others], ~has_room))
    return np.sort(others[promising[:_MOST_LINES]])


def _price(counts: Counts, hidden: Hidden) -> Counts:
    return np.where(hidden, 0, counts + 1)


def _ratio(wanted: Completed, found: Completed) -> Completed:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)
