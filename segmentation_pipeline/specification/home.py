"""A home: one customer base's folder, read and checked as a whole before anything is written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.answer_features import (
    refuse_answers,
    with_answer_features,
)
from segmentation_pipeline.specification.closed import ClosedModel
from segmentation_pipeline.specification.clustering import RfmGrid
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.experiment_checks import (
    check_experiments,
    check_experiments_of_home,
    check_permission,
)
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import NUMBER_WORDS, FeatureSpec
from segmentation_pipeline.specification.kpi_references import check_goals, check_kpis
from segmentation_pipeline.specification.playbook import check_playbook
from segmentation_pipeline.specification.predicates import check_expectations
from segmentation_pipeline.specification.reading import Document, Place, nearest, parse
from segmentation_pipeline.specification.references import (
    check_aggregate,
    check_encoded_categories,
    check_names,
    customer_table_columns,
    refuse_guarded,
)
from segmentation_pipeline.specification.retention_checks import (
    check_retention,
    check_retention_of_segmentation,
)
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.segmentation_expressions import (
    check_segmentation_expressions,
)
from segmentation_pipeline.specification.text_expressions import check_text_expressions
from segmentation_pipeline.specification.typing_features import belonging_parts, check_typing
from segmentation_pipeline.warehouse import is_plain_identifier

RESERVED_SCHEMAS = frozenset(
    {"raw", "core", "main", "temp", "system", "information_schema", "pg_catalog"}
)


@dataclass(frozen=True)
class Home:
    """A home's specification and the places of what is made from it."""

    path: Path
    customers: CustomersSpec
    segmentations: Mapping[str, SegmentationSpec]

    @property
    def warehouse(self) -> Path:
        """The working DuckDB file, private to one writer."""
        return self.path / "warehouse.duckdb"

    @property
    def lock(self) -> Path:
        """The file whose lock the one writer holds."""
        return self.path / "warehouse.lock"

    @property
    def models(self) -> Path:
        """Model folders: `models/<segmentation>/<version>/`."""
        return self.path / "models"

    @property
    def published(self) -> Path:
        """What readers read."""
        return self.path / "published"

    @property
    def logs(self) -> Path:
        """A line of JSON for each step of a night: `logs/<date>.jsonl`."""
        return self.path / "logs"

    @property
    def reports(self) -> Path:
        """Reports by date: `reports/<date>/report.html`."""
        return self.path / "reports"


def load_home(path: Path) -> Home:
    """Read `customers.yaml` and every `segmentations/*.yaml` of a home, and check all names.

    Raises SpecificationError with file, line and the nearest valid name; writes nothing.
    """
    if not (path / "customers.yaml").exists():
        raise SpecificationError(
            f"{path / 'customers.yaml'}: there is no such file: name a home by --home, or let "
            "`segmentation inspect FILES --write` propose one"
        )
    document = Document(path / "customers.yaml")
    customers = parse(document, CustomersSpec)
    _check_customers(document, customers)
    files = sorted((path / "segmentations").glob("*.yaml"))
    if not files:
        raise SpecificationError(
            f"{path / 'segmentations'}: no *.yaml file; a home has one file per segmentation"
        )
    segmentations = {}
    for file in files:
        require_segmentation_name(file, file.stem)
        segmentations[file.stem] = load_segmentation(file, customers)
    check_experiments_of_home(path, segmentations, customers)
    return Home(path.resolve(), customers, segmentations)


def require_segmentation_name(file: Path, name: str) -> None:
    """Refuse what can't be a segmentation's name; the error names its file."""
    if not is_plain_identifier(name) or name != name.lower():
        raise SpecificationError(f"{file}: name it by lower-case letters, digits, underscores")
    if name in RESERVED_SCHEMAS:
        raise SpecificationError(f"{file}: `{name}` is a name the pipeline uses itself")


def load_segmentation(file: Path, customers: CustomersSpec) -> SegmentationSpec:
    """Read a segmentation's file, wherever it lies, and check all names that it uses.

    Raises SpecificationError as `load_home` does.
    """
    document = Document(file)
    spec = with_answer_features(document, parse(document, SegmentationSpec), customers)
    _check_segmentation(document, spec, customers)
    return spec


def digest(*specifications: ClosedModel) -> str:
    """Compute the SHA-256 of specifications' meaning: comments and key order don't change it."""
    text = "\n".join(specification.model_dump_json() for specification in specifications)
    return hashlib.sha256(text.encode()).hexdigest()


def feature_column(name: str, feature: FeatureSpec) -> str | None:
    """Name the column of `customers` that a feature is, if it is one."""
    if feature.expression is not None or feature.aggregate is not None:
        return None
    return feature.column or name


def _check_customers(document: Document, customers: CustomersSpec) -> None:
    for name, source in customers.sources.items():
        place: list[str | int] = ["sources", name]
        _check_path(document, [*place, "path"], source.path)
    check_text_expressions(document, customers)
    check_expectations(document, customers)
    check_kpis(document, customers)
    check_permission(document, customers)
    check_retention(document, customers)


def _check_path(document: Document, place: Place, path: str) -> None:
    pure = PurePosixPath(path)
    if "://" in path or pure.is_absolute() or ".." in pure.parts:
        raise document.error(place, "a source's path lies below the home's folder: no URL, no ..")
    if any("**" in part and part != "**" for part in pure.parts):
        raise document.error(place, "`**` means any folders, and stands alone: `sources/**/*.csv`")


def _check_segmentation(
    document: Document, spec: SegmentationSpec, customers: CustomersSpec
) -> None:
    columns = customers.customer_columns()
    known = [*customer_table_columns(customers), "as_of"]
    for key, condition in (("where", spec.where), ("eligible", spec.eligible)):
        used = referenced_columns(condition) if condition is not None else ()
        refuse_answers(document, [key], used, customers)
        check_names(document, [key], used, known)
        refuse_guarded(document, [key], used, columns)
    for name, feature in spec.features.items():
        _check_feature(document, name, feature, spec, customers)
    _check_cycles(document, spec)
    _check_rules(document, spec)
    check_segmentation_expressions(document, spec, customers)
    check_typing(document, spec, customers)
    check_playbook(document, spec, customers)
    check_goals(document, spec, customers)
    check_experiments(document, spec, customers)
    check_retention_of_segmentation(document, spec, customers)


def _check_rules(document: Document, spec: SegmentationSpec) -> None:
    place: list[str | int] = ["clustering", "rules"]
    rules = spec.clustering.rules
    if isinstance(rules, RfmGrid):
        for part in ("recency", "frequency", "monetary"):
            feature = getattr(rules, part)
            if feature not in spec.features:
                hint = nearest(feature, spec.features)
                raise document.error([*place, part], f"there is no feature `{feature}`; {hint}")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        where: Place = [*place, index, "where"]
        for used in referenced_columns(rule.where):
            if used not in spec.features:
                hint = nearest(used, spec.features)
                raise document.error(
                    where, f"there is no feature `{used}`; a rule is over features; {hint}"
                )


def _check_feature(
    document: Document,
    name: str,
    feature: FeatureSpec,
    spec: SegmentationSpec,
    customers: CustomersSpec,
) -> None:
    place: list[str | int] = ["features", name]
    columns = customers.customer_columns()
    if feature.aggregate is not None:
        check_aggregate(document, [*place, "aggregate"], feature.aggregate, customers)
    elif feature.expression is not None:
        used = referenced_columns(feature.expression)
        others = [other for other in spec.features if other != name]
        known = [*customer_table_columns(customers), "as_of", *others]
        unnamed = [one for one in used if one not in spec.features]
        refuse_answers(document, [*place, "expression"], unnamed, customers)
        check_names(document, [*place, "expression"], used, known)
        refuse_guarded(document, [*place, "expression"], used, columns)
    else:
        column = feature.column or name
        check_names(document, place, [column], columns)
        refuse_guarded(document, place, [column], columns)
        _check_column_feature(document, place, feature, columns[column])


def _check_column_feature(
    document: Document, place: list[str | int], feature: FeatureSpec, column: ColumnSpec
) -> None:
    if feature.encoding is not None and column.type != "category":
        raise document.error([*place, "encoding"], f"only a category is encoded, not {column.type}")
    if column.type == "category" and (feature.transform != "none" or feature.clip is not None):
        raise document.error(place, "a category has neither `transform` nor `clip`")
    if column.type in ("text", "date", "timestamp"):
        raise document.error(
            place, f"a column of type {column.type} is no feature: use an `expression` over it"
        )
    # Of a category whose list isn't declared, any word may be one.
    known = (column.categories or feature.words) if column.type == "category" else NUMBER_WORDS
    for word in feature.words:
        if word not in known:
            raise document.error([*place, "words"], f"`{word}`: {nearest(word, known)}")
    check_encoded_categories(document, [*place, "encoding"], feature.encoding, column)


def _check_cycles(document: Document, spec: SegmentationSpec) -> None:
    reads = {
        name: [used for used in referenced_columns(feature.expression) if used in spec.features]
        for name, feature in spec.features.items()
        if feature.expression is not None
    }
    done: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise document.error(
                ["features", name, "expression"], f"features in a circle: {circle}"
            )
        for used in reads.get(name, []):
            # A feature that has the name of a column reads that column, not itself.
            if used not in done and used != name:
                follow(used, (*path, name))
        done.add(name)

    for name in reads:
        follow(name, ())


def fitting_digest(spec: SegmentationSpec) -> str:
    """Digest what a fitted model depends on, and nothing else.

    Titles, descriptions, profile features and what becomes of noise don't count. A night whose
    champion was fitted under another digest fits anew.
    """
    features = {
        name: feature.model_dump(exclude={*feature.unfitted, "use"})
        for name, feature in sorted(spec.features.items())
        if feature.use != "profile"
    }
    used = {name: feature.use for name, feature in sorted(spec.features.items())}
    clustering = spec.clustering.model_dump(mode="json", exclude={"noise", "if_continuum"})
    selection = spec.selection.model_dump(mode="json")
    parts = [spec.where, spec.scaling, features, clustering, selection]
    parts.append({name: use for name, use in used.items() if use != "profile"})
    parts += belonging_parts(spec)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
