"""The graph is exactly this one: a definition that Dagster drops without a word fails here."""

import datetime as dt
import itertools
import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml
from dagster._utils.schedules import cron_string_iterator

import segmentation_pipeline.definitions as definitions_module
from segmentation_pipeline.assets.schedules import daily_partitions
from segmentation_pipeline.definitions import HOME_VARIABLE, build_definitions
from segmentation_pipeline.publication import work_tables
from segmentation_pipeline.specification.home import load_home

REPOSITORY = Path(definitions_module.__file__).parents[1]
EXAMPLE = REPOSITORY / "segmentation_pipeline" / "demo" / "home"

SHARED = ["raw_crm", "raw_survey", "raw_web", "source_loads", "rejected_rows", "customers",
          "cleaning_report", "strategy_lists", "published", "segmentation_report"]  # fmt: skip
PER_SEGMENTATION = {
    "engineered_features": "features",
    "encodings": "features",
    "scalings": "features",
    "feature_selection": "features",
    "feature_matrix": "features",
    "feature_drift": "clustering",
    "refit_decision": "clustering",
    "model_candidates": "clustering",
    "segment_model": "clustering",
    "structure_verdict": "clustering",
    "preprocessing_effect": "clustering",
    "challenger_nights": "clustering",
    "model_versions": "clustering",
    "model_events": "clustering",
    "customer_segments": "segments",
    "segments": "segments",
    "segment_profiles": "segments",
    "segment_category_shares": "segments",
    "segment_rules": "segments",
    "segment_traits": "segments",
    "segment_personas": "segments",
    "typing_accuracy": "segments",
    "typing_confusion": "segments",
    "segment_strategies": "segments",
    "sensitive_shares": "segments",
    "segment_kpis": "measurement",
    "strategy_audience": "measurement",
    "strategy_assignments": "measurement",
    "strategy_effects": "measurement",
    "feature_importance": "segments",
    "segment_map": "segments",
    "feature_distributions": "segments",
    "segment_history": "segments",
    "segment_movements": "segments",
    "segment_migration": "segments",
    "segment_nights": "segments",
    "segment_transitions": "segments",
    "segment_registry": "segments",
}
WORKSHOP_ONLY = ["engineered_features", "encodings", "scalings", "segment_model"]
CHECKED = [name for name in PER_SEGMENTATION if name not in WORKSHOP_ONLY]


@pytest.fixture(scope="module")
def definitions():
    return build_definitions(EXAMPLE)


@pytest.fixture(scope="module")
def repository(definitions):
    return definitions.get_repository_def()


def test_the_assets_are_exactly_these(repository):
    expected = {dg.AssetKey([name]) for name in SHARED}
    for segmentation in ("engagement", "profession"):
        expected |= {dg.AssetKey([segmentation, name]) for name in PER_SEGMENTATION}

    assert set(repository.asset_graph.get_all_asset_keys()) == expected


def test_jobs_schedules_and_sensors_are_exactly_these(repository):
    jobs = {name for name in repository.job_names if not name.startswith("__")}

    assert jobs == {"nightly", "publish", "refresh_engagement", "refresh_profession"}
    assert {one.name for one in repository.schedule_defs} == {"nightly_schedule"}
    assert {one.name for one in repository.sensor_defs} == {"new_source_files", "publish_the_rest"}


def test_experiments_are_made_of_the_segmentations_that_are_ready(repository):
    def made(job):
        return repository.get_job(job).asset_layer.executable_asset_keys

    shared = {dg.AssetKey("strategy_lists")} | {
        dg.AssetKey([segmentation, table])
        for segmentation in ("engagement", "profession")
        for table in ("strategy_assignments", "strategy_audience", "strategy_effects")
    }
    # One customer has one strategy, whatever segmentation it is of. So a job of one segmentation
    # makes these tables of all, and nothing else of the others; so does publishing after a failure.
    others = {key for key in made("refresh_engagement") if key.path[0] == "profession"}
    assert others == {key for key in shared if key.path[0] == "profession"}
    assert shared <= made("refresh_engagement")
    assert shared <= made("publish")


def test_every_validated_table_has_blocking_checks(repository):
    checks = repository.asset_graph.asset_check_keys
    checked = {key.asset_key for key in checks}

    expected = {dg.AssetKey([name]) for name in ("raw_crm", "raw_survey", "raw_web", "customers")}
    for segmentation in ("engagement", "profession"):
        expected |= {dg.AssetKey([segmentation, name]) for name in CHECKED}
    assert checked == expected
    assert len(checks) > 100
    by_name = {(key.asset_key.to_user_string(), key.name) for key in checks}
    assert ("raw_crm", "publications__between") in by_name
    assert ("raw_web", "occurred_at__freshness_error") in by_name
    assert ("customers", "customer_id__unique") in by_name
    assert ("customers", "web__references_crm") in by_name
    assert ("engagement/feature_matrix", "values__finite") in by_name
    for segmentation in ("engagement", "profession"):
        for table in work_tables(segmentation):
            assert (f"{segmentation}/{table.name}", "contract") in by_name
    specs = {key: repository.asset_graph.get_check_spec(key) for key in checks}
    warnings = {key.name for key, spec in specs.items() if not spec.blocking}
    assert warnings == {
        "customer_id__unique",
        "occurred_at__freshness_warning",
        "table__distribution",
        "every_segment_has_a_strategy",
        "no_drift_alarm",
        "no_challenger_waits",
    }


def test_a_table_is_made_and_its_contract_looked_at_in_one_step(repository):
    nightly = repository.get_job("nightly")

    assert not [node.name for node in nightly.nodes if "contract" in node.name]
    for segmentation in ("engagement", "profession"):
        for table in work_tables(segmentation):
            key = dg.AssetKey([segmentation, table.name])
            made = repository.assets_defs_by_key[key]
            assert dg.AssetCheckKey(key, "contract") in made.check_keys
            assert not made.can_subset


def test_every_asset_has_a_group_an_owner_a_kind_a_description_and_nights(repository):
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        group = PER_SEGMENTATION.get(key.path[-1])
        if len(key.path) == 2:
            assert node.group_name == f"{key.path[0]}_{group}"
        assert node.owners == ["team:customer_insights"]
        assert node.kinds
        assert node.description, key
        assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition)


def test_the_order_is_that_of_the_method(repository):
    graph = repository.asset_graph

    def before(*key):
        return graph.get_ancestor_asset_keys(dg.AssetKey(list(key)))

    assert dg.AssetKey(["raw_web"]) in before("engagement", "engineered_features")
    assert dg.AssetKey(["raw_web"]) not in graph.get(dg.AssetKey(["published"])).parent_keys
    chain = ["engineered_features", "scalings", "feature_matrix", "model_candidates",
             "segment_model", "customer_segments", "segment_profiles", "segments"]  # fmt: skip
    for earlier, later in itertools.pairwise(chain):
        assert dg.AssetKey(["profession", earlier]) in before("profession", later)
    decisions = ["engineered_features", "feature_drift", "refit_decision", "model_candidates"]
    for earlier, later in itertools.pairwise(decisions):
        assert dg.AssetKey(["profession", earlier]) in before("profession", later)
    assert dg.AssetKey(["profession", "segment_model"]) in before("profession", "structure_verdict")
    assert dg.AssetKey(["profession", "structure_verdict"]) in before("profession", "segments")
    assert dg.AssetKey(["profession", "segments"]) in before("published")
    assert graph.get(dg.AssetKey(["segmentation_report"])).parent_keys == {
        dg.AssetKey(["published"])
    }


def test_both_ways_of_loading_find_the_same_module_and_name():
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text(encoding="utf-8"))
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["tool"]["dg"]["project"]

    module = workspace["load_from"][0]["python_module"]
    assert module["module_name"] == project["code_location_target_module"]
    assert module["location_name"] == project["code_location_name"]


def test_the_module_defines_the_home_that_is_named(monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(EXAMPLE))

    loaded = definitions_module.defs().get_repository_def()

    built = build_definitions(EXAMPLE).get_repository_def()
    keys = loaded.asset_graph.get_all_asset_keys()
    assert set(keys) == set(built.asset_graph.get_all_asset_keys())
    assert loaded.job_names == built.job_names


def evaluate(repository, instant):
    schedule = repository.get_schedule_def("nightly_schedule")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=instant, repository_def=repository
        )
        return schedule.evaluate_tick(context)


def test_a_tick_is_for_the_day_before_and_a_second_one_has_the_same_run_key(repository):
    instant = dt.datetime(2025, 7, 1, 3, 0, tzinfo=dt.UTC)

    first, second = evaluate(repository, instant), evaluate(repository, instant)

    assert [request.partition_key for request in first.run_requests] == ["2025-06-30"]
    assert first.run_requests[0].run_key == second.run_requests[0].run_key == "2025-06-30"


def test_a_tick_before_the_first_night_is_skipped(repository):
    data = evaluate(repository, dt.datetime(2024, 12, 31, 3, 0, tzinfo=dt.UTC))

    assert data.run_requests == []
    assert "before the first night" in data.skip_message


@pytest.mark.parametrize(("month", "day"), [(3, 30), (10, 26)])
def test_a_change_of_daylight_saving_gives_one_night_for_each_date(tmp_path, month, day):
    home = copy_home(tmp_path, 'cron: "0 3 * * *"\n  time_zone: UTC',
                     'cron: "30 2 * * *"\n  time_zone: Europe/Berlin')  # fmt: skip
    repository = build_definitions(home).get_repository_def()
    schedule = repository.get_schedule_def("nightly_schedule")
    start = dt.datetime(2025, month, day - 2, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    ticks = cron_string_iterator(start.timestamp(), schedule.cron_schedule, "Europe/Berlin")

    dates = []
    for _ in range(5):
        data = evaluate(repository, next(ticks))
        dates += [request.partition_key for request in data.run_requests]

    first = dt.date(2025, month, day - 2)
    assert dates == [(first + dt.timedelta(days=n)).isoformat() for n in range(5)]


def test_a_segmentation_may_have_a_schedule_of_its_own(tmp_path):
    home = copy_home(tmp_path)
    file = home / "segmentations" / "engagement.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + 'schedule: "0 12 * * 1"\n', encoding="utf-8")

    repository = build_definitions(home).get_repository_def()

    names = {one.name for one in repository.schedule_defs}
    assert names == {"nightly_schedule", "refresh_engagement_schedule"}


def test_a_column_may_be_both_summed_and_a_condition(tmp_path):
    home = copy_home(tmp_path)
    file = home / "segmentations" / "engagement.yaml"
    text = file.read_text(encoding="utf-8")
    megabytes = "{source: web, function: sum, column: amount, where: amount > 1}"
    feature = f"features:\n  heavy_use: {{use: profile, aggregate: {megabytes}}}\n"
    file.write_text(text.replace("features:\n", feature), encoding="utf-8")

    keys = build_definitions(home).get_repository_def().asset_graph.get_all_asset_keys()

    assert dg.AssetKey(["engagement", "engineered_features"]) in keys


@pytest.mark.parametrize(("condition", "waits"), [("kpi: engagement, measure: value", True),
                                                 ("measure: share", False)])  # fmt: skip
def test_a_playbook_waits_for_kpis_where_it_asks_for_one(tmp_path, condition, waits):
    home = copy_home(tmp_path)
    file = home / "segmentations" / "engagement.yaml"
    text = file.read_text(encoding="utf-8")
    asked = "strategies:\n  partners_in_person:\n    when:\n"
    assert asked in text
    changed = text.replace(asked, f"{asked}      - {{{condition}, at_least: 0.1}}\n")
    file.write_text(changed, encoding="utf-8")

    graph = build_definitions(home).get_repository_def().asset_graph
    strategies = graph.get(dg.AssetKey(["engagement", "segment_strategies"]))

    assert (dg.AssetKey(["engagement", "segment_kpis"]) in strategies.parent_keys) == waits


def test_the_packaged_workspace_is_that_of_the_repository():
    packaged = (EXAMPLE / "dagster" / "workspace.yaml").read_text(encoding="utf-8")
    own = (REPOSITORY / "workspace.yaml").read_text(encoding="utf-8")

    assert yaml.safe_load(packaged) == yaml.safe_load(own)


def test_nights_go_from_the_first_one_on():
    partitions = daily_partitions(load_home(EXAMPLE))

    assert partitions.get_first_partition_key() == "2025-01-01"
    assert "2025-06-30" in partitions.get_partition_keys()


def copy_home(folder, written="", instead=""):
    (folder / "segmentations").mkdir()
    for path in ("customers.yaml", "segmentations/engagement.yaml"):
        text = (EXAMPLE / path).read_text(encoding="utf-8")
        (folder / path).write_text(text.replace(written, instead) if written else text)
    return folder
