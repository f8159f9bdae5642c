"""Who gets what, as files that campaign tools and spreadsheets read: `exports/<strategy>.*`.

What belongs here: writing the lists of a version, and looking at them again. Who is on them belongs
to `measurement`. A CSV file may be opened by a double click: a cell that a spreadsheet would take
for a formula gets an apostrophe in front, and every cell is quoted, so that no locale's separator
begins a new one (OWASP, "CSV Injection"). Parquet has the ids as they are.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from segmentation_pipeline.publication.plan import Plan
from segmentation_pipeline.publication.pseudonyms import pseudonym_sql
from segmentation_pipeline.publication.versions import version_folder
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection, Table, literal, quote

EXPORTS = "exports"
_COLUMNS = ("customer_id", "strategy")
_FORMULA_SIGNS = "'=', '+', '-', '@', chr(9), chr(13)"


def write_exports(
    connection: Connection,
    home: Home,
    plan: Plan,
    lists: Table,
    assignments: Table,
    staged: Path,
) -> None:
    """Write the lists of a version: one CSV and one Parquet file per strategy with an experiment.

    `lists` are tonight's, and `assignments` those that the version publishes: whoever isn't treated
    by them is on no list, so that a segmentation which keeps its rows keeps its list. A date before
    the newest one changes no list. A home without experiments has no folder of lists.
    """
    folder = staged / EXPORTS
    if not plan.is_home_fresh and plan.before is not None:
        before = version_folder(home.published, plan.before.version) / EXPORTS
        if before.is_dir():
            shutil.copytree(before, folder, copy_function=shutil.copyfile)
        return
    if home.customers.experiments is None:
        return
    folder.mkdir()
    for segmentation, spec in home.segmentations.items():
        for name, strategy in spec.strategies.items():
            if strategy.experiment is not None:
                called = pseudonym_sql(plan.pseudonym_key, "customer_id")
                rows = (
                    f"SELECT customer_id, strategy FROM (SELECT * REPLACE ({called} AS"
                    f" customer_id) FROM {lists.sql}) SEMI JOIN"
                    f" (FROM {assignments.sql} WHERE arm = 'treated')"
                    " USING (segmentation, strategy, customer_id)"
                    f" WHERE segmentation = {literal(segmentation)}"
                    f" AND strategy = {literal(name)}"
                )
                write_list(connection, rows, folder / name)


def write_list(connection: Connection, rows_sql: str, path: Path) -> None:
    """Write the result of a SELECT of `customer_id, strategy` as `path`.csv and `path`.parquet."""
    listed = Table("temp", "listed").sql
    connection.execute(f"CREATE OR REPLACE TEMP TABLE listed AS {rows_sql}")
    # Both say their order: DuckDB 2.0 with two threads mixes up a CSV file of a sorted table.
    connection.execute(
        f"COPY (FROM {listed} ORDER BY customer_id)"
        f" TO {literal(f'{path}.parquet')} (FORMAT parquet, COMPRESSION zstd)"
    )
    connection.execute(
        f"COPY (SELECT * REPLACE ({_safe_sql('customer_id')} AS customer_id) FROM {listed}"
        f" ORDER BY customer_id) TO {literal(f'{path}.csv')} (FORMAT csv, HEADER, FORCE_QUOTE *)"
    )
    connection.execute(f"DROP TABLE {listed}")


def export_faults(connection: Connection, folder: Path) -> Iterator[str]:
    """Say what is wrong with the lists of a version, whose database is open.

    Each row must be of a customer whom the published assignments treat by that strategy, in time,
    and the CSV file must have the rows of the Parquet file.
    """
    names = sorted({path.stem for path in (folder / EXPORTS).glob("*")})
    for name in names:
        path = folder / EXPORTS / name
        missing = [kind for kind in (".csv", ".parquet") if not Path(f"{path}{kind}").is_file()]
        if missing:
            yield f"{EXPORTS}/{name} has no {missing[0]} file"
            continue
        parquet = f"read_parquet({literal(f'{path}.parquet')})"
        text = (
            f"read_csv({literal(f'{path}.csv')}, header = true, all_varchar = true, delim = ',',"
            " quote = '\"', escape = '\"', auto_detect = false, columns ="
            " {'customer_id': 'VARCHAR', 'strategy': 'VARCHAR'})"
        )
        columns = tuple(
            str(row[0]) for row in connection.execute(f"DESCRIBE FROM {parquet}").fetchall()
        )
        if columns != _COLUMNS:
            yield f"{EXPORTS}/{name}.parquet has other columns than {', '.join(_COLUMNS)}"
            continue
        strangers = _count(
            connection,
            f"FROM {parquet} AS listed ANTI JOIN (FROM strategy_assignments WHERE arm = 'treated'"
            f" AND strategy = {literal(name)} AND end_date > (SELECT max(as_of) FROM"
            " segmentation_runs)) USING (customer_id, strategy)",
        )
        if strangers:
            yield f"{EXPORTS}/{name} lists {strangers} customers who are not to be treated by it"
        safe = f"SELECT {_safe_sql('customer_id')} AS customer_id, strategy FROM {parquet}"
        # A sum of hashes streams, where EXCEPT ALL holds and numbers every row of both files.
        if _fingerprint(connection, safe) == _fingerprint(connection, f"FROM {text}"):
            continue
        differing = _count(
            connection,
            f"FROM ((({safe}) EXCEPT ALL (FROM {text})) UNION ALL"
            f" ((FROM {text}) EXCEPT ALL ({safe})))",
        )
        yield f"{EXPORTS}/{name}: its CSV and Parquet files differ in {differing} rows"


def _safe_sql(column: str) -> str:
    """Write a cell that no spreadsheet takes for a formula."""
    cell = quote(column)
    return f"CASE WHEN left({cell}, 1) IN ({_FORMULA_SIGNS}) THEN '''' || {cell} ELSE {cell} END"


def _count(connection: Connection, query: str) -> int:
    return int(connection.execute(f"SELECT count(*) {query}").fetchall()[0][0])


def _fingerprint(connection: Connection, rows_sql: str) -> tuple[int, int]:
    """Count a query's rows and sum up their hashes: equal rows in any order give the same."""
    query = f"SELECT count(*), coalesce(sum(hash({', '.join(_COLUMNS)})), 0) FROM ({rows_sql})"
    ((rows, fingerprint),) = connection.execute(query).fetchall()
    return int(rows), int(fingerprint)
