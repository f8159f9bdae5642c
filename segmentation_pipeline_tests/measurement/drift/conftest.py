"""A segmentation of two features on hand-made customers, and the models fitted on them."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.model_events import add_event
from segmentation_pipeline.clustering.registry import (
    Registration,
    register_challenger,
    register_champion,
)
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.features import fit_on_sample, make_feature_matrix, read_sample
from segmentation_pipeline.measurement.drift import make_feature_drift
from segmentation_pipeline.measurement.refit_decision import make_refit_decision
from segmentation_pipeline.measurement.training_reference import learn_reference
from segmentation_pipeline.segments.nights import Night, NightChanges, keep_night
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_batches

NAME = "lens"
FIRST = dt.date(2025, 6, 1)
CUSTOMERS = CustomersSpec.model_validate(
    {
        "name": "test",
        "nights": {"first": "2025-01-01"},
        "sources": {
            "crm": {
                "kind": "crm",
                "path": "crm.csv",
                "key": "number",
                "columns": {
                    "number": {"type": "text"},
                    "visits": {"type": "number"},
                    "channel": {"type": "category"},
                },
            },
            "web": {
                "kind": "web",
                "path": "web.csv",
                "key": "number",
                "time": "at",
                "columns": {"number": {"type": "text"}, "at": {"type": "date"}},
            },
        },
        "customers": {"base": "crm"},
    }
)


class Lens:
    """The segmentation, its warehouse, and nights that are numbered from 0."""

    name = NAME

    def __init__(self, connection, path):
        self.connection, self.path = connection, path
        self.declare()
        create_registry(connection)

    def declare(self, **settings):
        """Write the segmentation's file; `settings` are added to it."""
        content = {
            "title": "Lens",
            "criteria": {"needs": "What they need."},
            "features": {
                "visits": {"criterion": "needs"},
                "channel": {"criterion": "needs"},
                "clicks": {"use": "profile", "aggregate": {"source": "web", "function": "count"}},
            },
            **settings,
        }
        spec = SegmentationSpec.model_validate(content)
        self.home = Home(self.path, CUSTOMERS, {NAME: spec})
        self.spec = spec

    def date(self, number):
        return FIRST + dt.timedelta(days=number)

    def night(self, number):
        return Build(self.date(number), f"run-{number}")

    def write_customers(self, number, visits, channel, order=None):
        """Write a night's `engineered_features`; None is a missing value."""
        rows = list(range(len(visits))) if order is None else list(order)
        batch = pa.record_batch(
            {
                "customer_id": pa.array([f"c{row}" for row in rows]),
                "visits": pa.array([visits[row] for row in rows], pa.float64()),
                "channel": pa.array([channel[row] for row in rows], pa.string()),
            }
        )
        table = Table(NAME, "engineered_features")
        write_batches(self.connection, table, batch.schema, [batch], self.night(number))

    def fit(self, number, *, has_reference=True):
        """Fit K-Means on the night's customers."""
        limits, seed = self.home.customers.limits, self.spec.clustering.seed
        preparation = fit_on_sample(self.connection, NAME, self.spec, limits)
        make_feature_matrix(self.connection, NAME, preparation, limits, self.night(number))
        columns = preparation.column_names
        matrix = Table(NAME, "feature_matrix")
        _, rows = read_sample(self.connection, matrix, columns, seed=seed, limit=10_000)
        points = rows.astype(np.float64)
        family = KMeansFamily(ks=[2], starts=3)
        (fit,) = family.fit(points, seed=1)
        parameters = {"preparation": preparation.to_json(), "seed": 1}
        assigner = family.assigner(fit.arrays, fit.parameters)
        model = make_model(fit, assigner, points, columns, parameters)
        if not has_reference:
            return model
        return learn_reference(self.connection, self.home, NAME, model, self.night(number))

    def register(self, number, *, has_reference=True):
        """Fit a model on the night's customers, and put it in force."""
        return register_champion(
            self.connection,
            self.home.models,
            self.fit(number, has_reference=has_reference),
            Registration(
                segmentation=NAME,
                specification_digest=fitting_digest(self.spec),
                preparation_digest="p",
                reason="test",
            ),
            self.night(number),
        )

    def challenge(self, number):
        """Fit a challenger on the night's customers; it has no status yet."""
        return register_challenger(
            self.connection,
            self.home.models,
            self.fit(number),
            Registration(
                segmentation=NAME,
                specification_digest=fitting_digest(self.spec),
                preparation_digest="p",
                reason="test",
            ),
            self.night(number),
        )

    def promote(self, version, first, decided, who):
        """Put a version in force from a date on."""
        add_event(
            self.connection, NAME, version, "champion",
            as_of=first, build=decided, who=who, reason="test",
        )  # fmt: skip

    def drift(self, number):
        """Make the night's `feature_drift`; returns its rows by feature."""
        make_feature_drift(self.connection, self.home, NAME, self.night(number))
        return {row["feature"]: row for row in self.rows("feature_drift")}

    def decide(self, number):
        """Make `feature_drift` and `refit_decision` of a night; returns the decision."""
        self.drift(number)
        return make_refit_decision(self.connection, self.home, NAME, self.night(number))

    def end(self, number, version, moved=0):
        """Note that a night has given its 1,000 customers their segments."""
        changes = NightChanges(1000, 0, 0, moved, 0, 0, 0)
        keep_night(self.connection, NAME, Night(self.date(number), version), changes)

    def rows(self, table):
        found = self.connection.execute(f"FROM {Table(NAME, table).sql} ORDER BY ALL")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture
def lens(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb", threads=2) as connection:
        yield Lens(connection, tmp_path)
