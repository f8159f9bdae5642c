"""The demo's night the usual way: one script in pandas and scikit-learn.

    python -m benchmarks.usual_way --home DIR [--fit-on 100000]

It reads the columns it needs of the Parquet files, cleans them as `customers.yaml` says (exact
duplicates, latest answer, aliases, impossible values), aggregates the events of 90 days, makes the
clustering features of both segmentations, scales them in float32, tries the same numbers of
segments with the same ten starts, takes the best silhouette of as many customers, assigns everyone
with distance, runner-up and margin, describes the segments, and writes Parquet.

What it spares itself: checks, an audit, quarantine, rejects by line, a publication that readers can
hold on to, and any bound on memory. `--fit-on` fits on so many customers instead of on all.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.features import GivenEncoding, OrdinalEncoding
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.specification.sources import SourceSpec

NIGHT = pd.Timestamp("2025-06-30")
WINDOW_DAYS = 90
NULL_WORDS = ["", "n/a", "-"]
EVENTS = {
    "landing_page_visit": "landing_page_visits",
    "online_service": "online_services",
    "network_usage": "network_sessions",
    "email_sent": "mails_sent",
    "email_opened": "mails_opened",
    "email_clicked": "mails_clicked",
}


def clean_column(values: pd.Series, column: ColumnSpec) -> pd.Series:
    if column.type == "timestamp":
        return values
    if column.type == "date":
        dates = pd.to_datetime(values, format="%Y-%m-%d", errors="coerce")
        is_possible = dates <= NIGHT
        if column.earliest is not None:
            is_possible &= dates >= pd.Timestamp(column.earliest)
        return dates.where(is_possible)
    if column.type in ("integer", "number"):
        numbers = pd.to_numeric(values, errors="coerce").astype(np.float32)
        lower = -np.inf if column.minimum is None else column.minimum
        upper = np.inf if column.maximum is None else column.maximum
        return numbers.where(numbers.between(lower, upper))
    values = values.str.strip()
    if column.categories:
        spellings = {name.casefold(): name for name in column.categories}
        for name, others in column.aliases.items():
            spellings |= {other.casefold(): name for other in others}
        # Few spellings, many rows: map the spellings.
        values = values.astype("category")
        known = {given: spellings.get(given.casefold()) for given in values.cat.categories}
        return values.astype(object).map(known).astype("category")
    return values.mask(values.isin(NULL_WORDS)).astype("category")


def read_source(home: Home, name: str, columns: list[str]) -> pd.DataFrame:
    source: SourceSpec = home.customers.sources[name]
    files = sorted(home.path.glob(source.path))
    frame = pd.concat([pd.read_parquet(file, columns=columns) for file in files])
    frame = frame.drop_duplicates()
    return pd.DataFrame(
        {
            column: frame[column].str.strip()
            if column == "staff_id"
            else clean_column(frame[column], source.columns[column])
            for column in columns
            if column not in ("event_id", "answer_id")
        }
    )


def aggregate_events(events: pd.DataFrame) -> pd.DataFrame:
    events = events[events["occurred_at"] < NIGHT + pd.Timedelta(days=1)]
    active = events[events["event"] != "email_sent"]
    last = active.groupby("staff_id")["occurred_at"].max().dt.normalize()
    recent = events[events["occurred_at"] >= NIGHT - pd.Timedelta(days=WINDOW_DAYS - 1)]
    counts = pd.crosstab(recent["staff_id"], recent["event"])
    counts = counts.rename(columns=EVENTS).reindex(columns=list(EVENTS.values()), fill_value=0)
    counts.columns = list(counts.columns)
    return counts.join((NIGHT - last).dt.days.rename("days_since_last_event"), how="outer")


def make_customers(home: Home) -> pd.DataFrame:
    crm = read_source(
        home,
        "crm",
        [
            *("staff_id", "birth_date", "department", "publications", "congresses"),
            *("partnerships", "attended_events", "contract_value_eur"),
        ],
    ).drop_duplicates("staff_id")
    survey = read_source(
        home,
        "survey",
        [
            *("staff_id", "answer_id", "answered_at", "education", "role", "prescription_attitude"),
            *("collaboration_attitude", "average_visit_minutes", "engagement_driver"),
            "preferred_channel",
        ],
    )
    survey = survey.sort_values("answered_at").drop_duplicates("staff_id", keep="last")
    web = read_source(home, "web", ["event_id", "staff_id", "occurred_at", "event"])
    customers = crm.merge(survey.drop(columns="answered_at"), on="staff_id", how="left")
    customers = customers.merge(
        aggregate_events(web), left_on="staff_id", right_index=True, how="left"
    )
    counts = list(EVENTS.values())
    customers[counts] = customers[counts].fillna(0)
    return customers.set_index("staff_id")


def engagement(customers: pd.DataFrame) -> pd.DataFrame:
    logged = [
        *("landing_page_visits", "online_services", "network_sessions", "attended_events"),
        "contract_value_eur",
    ]
    features = customers[logged].apply(np.log1p)
    sent = customers["mails_sent"].replace(0, np.nan)
    features["open_rate"] = customers["mails_opened"] / sent
    features["average_visit_minutes"] = customers["average_visit_minutes"]
    return features


def profession(customers: pd.DataFrame, home: Home) -> pd.DataFrame:
    features = customers[["publications", "congresses", "partnerships"]].apply(np.log1p)
    features["age"] = (NIGHT - customers["birth_date"]).dt.days / 365.25
    specs = home.segmentations["profession"].features
    for name in ("education", "prescription_attitude", "collaboration_attitude"):
        encoding = specs[name].encoding
        if not isinstance(encoding, OrdinalEncoding):
            raise TypeError(f"{name} is not ordinal")
        ranks = {one: rank for rank, one in enumerate(encoding.order or (), start=1)}
        values = dict(encoding.values or ranks)  # noqa: PD011 (a field of ours, no Series)
        features[name] = customers[name].map(values).astype(np.float32)
    encoding = specs["role"].encoding
    if not isinstance(encoding, GivenEncoding):
        raise TypeError("role has no given vectors")
    for index, component in enumerate(encoding.components):
        vectors = {role: vector[index] for role, vector in encoding.vectors.items()}
        # Half the weight for each of its two columns, as ours.
        features[f"role_{component}"] = customers["role"].map(vectors).astype(np.float32)
    return features


def scale(features: pd.DataFrame) -> np.ndarray:
    matrix = StandardScaler().fit_transform(features.to_numpy(np.float32))
    matrix[np.isnan(matrix)] = 0.0
    weights = [np.sqrt(0.5) if name.startswith("role_") else 1.0 for name in features.columns]
    weighted: np.ndarray = (matrix * np.array(weights)).astype(np.float32)
    return weighted


def fit(matrix: np.ndarray, home: Home, segmentation: str, fit_on: int | None) -> KMeans:
    spec = home.segmentations[segmentation].clustering
    rows = matrix
    if fit_on is not None and fit_on < len(matrix):
        drawn = np.random.default_rng(spec.seed).choice(len(matrix), fit_on, replace=False)
        rows = matrix[drawn]
    best, best_score = None, -1.0
    for k in range(spec.minimum_segments, spec.maximum_segments + 1):
        model = KMeans(k, n_init=spec.starts, random_state=spec.seed).fit(rows)
        size = min(spec.silhouette_customers, len(rows))
        score = silhouette_score(rows, model.labels_, sample_size=size, random_state=spec.seed)
        if score > best_score:
            best, best_score = model, score
    if best is None:
        raise RuntimeError("no candidate")
    print(f"{segmentation}: k = {best.n_clusters}, silhouette {best_score:.3f}")
    return best


def describe(
    customers: pd.DataFrame, features: pd.DataFrame, model: KMeans, matrix: np.ndarray, folder: Path
) -> None:
    distances = model.transform(matrix)
    order = np.argpartition(distances, 1, axis=1)[:, :2]
    nearest = np.take_along_axis(distances, order, axis=1)
    is_swapped = nearest[:, 0] > nearest[:, 1]
    order[is_swapped], nearest[is_swapped] = order[is_swapped, ::-1], nearest[is_swapped, ::-1]
    segments = pd.DataFrame(
        {
            "customer_id": customers.index,
            "segment": order[:, 0],
            "runner_up": order[:, 1],
            "distance": nearest[:, 0],
            "margin": (nearest[:, 1] - nearest[:, 0]) / nearest[:, 1],
        }
    )
    segments.to_parquet(folder / "customer_segments.parquet", index=False)
    labels = segments["segment"].to_numpy()
    numeric = pd.concat(
        [features, customers[["contract_value_eur", *EVENTS.values()]].add_prefix("raw_")], axis=1
    )
    numeric.groupby(labels).describe().to_csv(folder / "segment_profiles.csv")
    for name in ("preferred_channel", "engagement_driver", "department", "education", "role"):
        shares = pd.crosstab(
            labels, customers[name].cat.add_categories("missing").fillna("missing")
        )
        shares.div(shares.sum(axis=1), axis=0).to_csv(folder / f"shares_of_{name}.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--fit-on", type=int)
    arguments = parser.parse_args()
    home = load_home(arguments.home)
    customers = make_customers(home)
    print(f"{len(customers):,} customers")
    for name in home.segmentations:
        features = engagement(customers) if name == "engagement" else profession(customers, home)
        matrix = scale(features)
        model = fit(matrix, home, name, arguments.fit_on)
        folder = arguments.home / "usual_way" / name
        folder.mkdir(parents=True, exist_ok=True)
        describe(customers, features, model, matrix, folder)


if __name__ == "__main__":
    main()
