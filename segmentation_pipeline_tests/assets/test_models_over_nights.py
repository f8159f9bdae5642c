"""Three nights of a small shop: a model, a refit that is due, a challenger, its promotion."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pytest
import yaml

from segmentation_pipeline.assets import clustering, segments
from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.assets.replay import replay_nights
from segmentation_pipeline.clustering.model_events import read_events
from segmentation_pipeline.clustering.registry import champion
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.publication import read_published, verify
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import open_warehouse

FIRST = dt.date(2025, 3, 1)
DAY = dt.timedelta(days=1)
NIGHTS = [FIRST + dt.timedelta(days=days) for days in range(3)]
GROUP = 60
CENTRES = np.array([[2.0, 50.0], [12.0, 300.0], [30.0, 90.0]])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three clear groups; from the second night on, one spends more."""
    folder = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(5)
    spread = rng.normal(0.0, [1.0, 15.0], (3, GROUP, 2))
    (folder / "crm").mkdir()
    for number, date in enumerate(NIGHTS):
        centres = CENTRES.copy()
        centres[1, 1] += 60.0 * (number > 0)
        values = np.round((centres[:, np.newaxis] + spread).reshape(-1, 2), 2)
        rows = "\n".join(f"c{i:03},{a},{b}" for i, (a, b) in enumerate(values))
        (folder / "crm" / f"crm_{date}.csv").write_text(f"id,orders,spent\n{rows}\n")
    columns = {"id": {"type": "text"}, "orders": {"type": "number"}, "spent": {"type": "number"}}
    crm = {"kind": "crm", "path": "crm/crm_*.csv", "key": "id", "columns": columns}
    crm["snapshot_date"] = {"file_name": "crm_%Y-%m-%d.csv"}
    customers = {
        "name": "Shop",
        "nights": {"first": FIRST},
        "sources": {"crm": crm},
        "customers": {"base": "crm"},
    }
    (folder / "customers.yaml").write_text(yaml.safe_dump(customers))
    (folder / "segmentations").mkdir()
    spec = {
        "title": "By what they buy",
        "criteria": {"behaviour": "Orders of the year."},
        "features": {"orders": {"criterion": "behaviour"}, "spent": {"criterion": "behaviour"}},
        "clustering": {"algorithm": "k_means", "segments": 3},
        "refit": {"shadow_nights": 1},
    }
    (folder / "segmentations" / "buying.yaml").write_text(yaml.safe_dump(spec))
    return folder


@pytest.fixture(scope="module")
def replayed(home):
    begun = []
    found = replay_nights(
        home,
        NIGHTS[0],
        NIGHTS[-1],
        on_night=lambda date, number, nights: begun.append((date, number, nights)),
        progress=lambda *_: None,
    )
    assert found.result is None, found.result.failures
    assert list(found.done) == NIGHTS
    assert begun == [(date, number, 3) for number, date in enumerate(NIGHTS, start=1)]
    return home


def published(home, query):
    return read_published(home / "published", query)


def everything(home):
    """Read all that is published, but for what may differ between two runs of the same."""
    tables = {}
    for contract in CONTRACTS.values():
        kept = ", ".join(column.name for column in contract.columns if not column.is_volatile)
        rows = published(home, f"SELECT {kept} FROM {contract.name}")
        tables[contract.name] = sorted(map(repr, rows))
    return tables


def test_a_refit_fits_a_challenger_and_open_gates_put_it_in_force_the_night_after(replayed):
    assert published(replayed, "SELECT as_of, model_version FROM segmentation_runs") == [
        (NIGHTS[0], 1),
        (NIGHTS[1], 1),
        (NIGHTS[2], 2),
    ]
    events = published(
        replayed,
        "SELECT version, status, from_date, decided_date, decided_by, retired_version"
        " FROM model_events ORDER BY event",
    )
    assert events == [
        (1, "champion", NIGHTS[0], NIGHTS[0], "system", None),
        (2, "challenger", NIGHTS[1], NIGHTS[1], "system", None),
        (2, "champion", NIGHTS[2], NIGHTS[1], "system", 1),
    ]
    versions = published(
        replayed,
        "SELECT version, status, fitted_date, first_date, start, against_version"
        " FROM model_versions ORDER BY version",
    )
    assert versions == [
        (1, "retired", NIGHTS[0], NIGHTS[0], None, None),
        (2, "champion", NIGHTS[1], NIGHTS[2], "warm", 1),
    ]


def test_the_shadow_is_told_and_nobody_was_put_into_it(replayed):
    nights = published(
        replayed,
        "SELECT as_of, challenger_version, champion_version, night, state, shut_gates, customers,"
        " agreement, migration_share, kept_segments FROM challenger_nights",
    )
    assert nights == [(NIGHTS[1], 2, 1, 1, "promoted", None, 180, 1.0, 0.0, 3)]


def test_ids_stay_and_so_does_everybody(replayed):
    spells = published(
        replayed,
        "SELECT count(*), count(DISTINCT customer_id), min(valid_from), max(valid_to)"
        " FROM segment_history",
    )
    assert spells == [(3 * GROUP, 3 * GROUP, FIRST, None)]
    kinds = published(replayed, "SELECT as_of, kind, from_segment_id = to_segment_id"
                                " FROM segment_transitions")  # fmt: skip
    assert kinds.count((NIGHTS[2], "kept", True)) == 3
    assert published(replayed, "SELECT DISTINCT born_model_version FROM segment_registry") == [(1,)]


def test_a_night_shows_the_candidates_of_its_own_model(replayed):
    assert published(replayed, "SELECT DISTINCT as_of, model_version FROM model_candidates") == [
        (NIGHTS[2], 2)
    ]
    assert verify(replayed / "published") == []


def test_a_date_in_the_middle_run_again_changes_nothing_and_looks_at_no_model_anew(
    replayed, monkeypatch
):
    examined = "SELECT DISTINCT examined_date FROM buying.preprocessing_effect"
    # Version 2 came into force on the third night.
    assert published(replayed, examined.replace("buying.", "")) == [(NIGHTS[2],)]
    before, looked = everything(replayed), []

    def watch(module, name):
        found = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: looked.append(name) or found(*given))

    watch(clustering, "prepare_otherwise")
    watch(clustering, "candidates_chart")
    watch(segments, "sampled_distance_shares")

    result = run_night(replayed, NIGHTS[1], progress=lambda *_: None)

    assert result.success, result.failures
    assert everything(replayed) == before
    # What is found of a model is found on its first night only.
    assert looked == []
    with open_warehouse(load_home(replayed).warehouse, read_only=True) as connection:
        assert connection.execute(examined).fetchall() == [(NIGHTS[0],)]

    assert run_night(replayed, NIGHTS[2], progress=lambda *_: None).success
    assert sorted(looked) == ["candidates_chart", "prepare_otherwise", "sampled_distance_shares"]


def decide(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_puts_the_model_before_back_and_says_who_did(replayed):
    done = decide(replayed, "rollback", "buying", "--model", "1", "--by", "Ann", "--reason", "why")

    assert done.returncode == 0, done.stderr
    told = f"buying: model 1 is champion from the night of {NIGHTS[2] + DAY} on, decided by Ann.\n"
    assert done.stdout == told
    load = load_home(replayed)
    with open_warehouse(load.warehouse, read_only=True) as connection:
        last = read_events(connection, "buying")[-1]
        assert champion(connection, "buying", NIGHTS[2]).model_version == 2
        assert champion(connection, "buying", NIGHTS[2] + DAY).model_version == 1
    assert (last.model_version, last.who, last.reason, last.run_id) == (1, "Ann", "why", "by hand")


def test_the_command_line_refuses_with_words_and_a_status(replayed):
    refused = decide(replayed, "reject", "buying", "--reason", "why")

    assert refused.returncode == 1
    assert "there is no challenger on 2025-03-04: name a model by" in refused.stderr
    assert decide(replayed, "rollback", "--model", "1").returncode == 2


def test_a_replay_stops_at_the_first_night_that_fails(replayed):
    broken = replayed / "crm" / f"crm_{NIGHTS[1]}.csv"
    broken.write_text("id,orders,spent\n")

    ended = []

    found = replay_nights(
        replayed,
        NIGHTS[1],
        NIGHTS[2],
        on_night=lambda *_: None,
        on_result=lambda date, result: ended.append((date, result.success)),
        progress=lambda *_: None,
    )

    assert (found.done, found.failed) == ((), NIGHTS[1])
    assert ended == [(NIGHTS[1], False)]
    assert found.result is not None
    assert found.result.failures


def test_dates_that_are_no_nights_are_refused_at_once(home):
    with pytest.raises(SpecificationError, match="is before --from"):
        replay_nights(home, NIGHTS[1], NIGHTS[0], on_night=print, progress=print)
    with pytest.raises(SpecificationError, match="is no night of this home"):
        replay_nights(home, FIRST - dt.timedelta(days=1), FIRST, on_night=print, progress=print)
