"""The same raw rows give the same tables, and every row is accounted for."""

import datetime as dt
import random

import pytest

CITIES = ["Ulm", "ulm", " Bonn", "Rom", "Atlantis", None]
SOURCES = {
    "crm": {
        "columns": {
            "city": {"type": "category", "categories": ["Ulm", "Bonn", "Rom"]},
            "age": {"type": "integer", "minimum": 0, "impute": {"method": "median"}},
            "income": {"type": "number", "maximum": 90, "impute": {"method": "median"}},
        },
        "expectations": [{"name": "young", "predicate": "age < 95", "quarantine": "row"}],
    },
    "survey": {
        "kind": "survey",
        "time": "answered",
        "columns": {
            "answered": {"type": "date"},
            "city": {"type": "category", "impute": {"method": "mode"}},
            "income": {"type": "number"},
        },
    },
    "web": {
        "kind": "web",
        "time": "happened",
        "columns": {
            "happened": {"type": "timestamp"},
            "event": {"type": "category", "categories": ["visit"]},
        },
        "expectations": [{"name": "named", "predicate": "event <> 'bot'", "quarantine": "row"}],
    },
}
CUSTOMERS = {
    "precedence": ["survey", "crm"],
    "expectations": [
        {"name": "rich", "predicate": "income > 5", "quarantine": "row", "maximum_share": 0.5}
    ],
}
TAKES_ROWS = {
    "later_row",
    "undated_row",
    "quarantined_row",
    "exact_duplicate",
    "superseded_row",
    "duplicate_customer",
    "former_customer",
    "orphan",
    "excluded",
}


def messy_rows(seed):
    """Few customers and few values, so that everything that can clash does."""
    draw = random.Random(seed)
    who = [f"c{n:02}" for n in range(60)] + ["stranger", None]
    days = [dt.date(2026, 3, 20) + n * dt.timedelta(days=1) for n in range(20)] + [None]
    income = [None, 1.0, 7.5, 33.3, 1e6, float("nan")]
    return {
        "crm": [
            (draw.choice(who), draw.choice(CITIES), draw.choice([-1, 30, 41, 97, None]), money)
            for money in draw.choices(income, k=150)
        ],
        "survey": [
            (draw.choice(who), draw.choice(days), draw.choice(CITIES), draw.choice(income))
            for _ in range(300)
        ],
        "web": [
            (draw.choice(who), draw.choice(days), draw.choice(["visit", "VISIT", "bot", "x", None]))
            for _ in range(900)
        ],
    }


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_rows_and_two_threads_give_equal_tables(night, seed):
    rows = messy_rows(seed)
    found = []
    for shuffle, threads in ((None, 1), (1, 1), (2, 2)):
        with night(SOURCES, rows, CUSTOMERS, threads=threads, shuffle=shuffle) as made:
            made.make()
            found.append({**made.everything(), "events": made.events("web")})
    assert found[0]["customers"]
    assert found[0]["customer_conflicts"]
    assert found[1] == found[0]
    assert found[2] == found[0]


@pytest.mark.parametrize("seed", range(3, 8))
def test_every_row_is_kept_or_counted_once(night, seed):
    rows = messy_rows(seed)
    with night(SOURCES, rows, CUSTOMERS, threads=2) as made:
        summary = made.make()
        for source in (*SOURCES, "customers"):
            counted = made.counted(source)
            taken = sum(n for (_, step), n in counted.items() if step in TAKES_ROWS)
            assert counted[None, "loaded"] == counted[None, "kept"] + taken
            assert counted[None, "loaded"] == len(rows.get(source, ())) or source == "customers"
        assert summary.customers == len(made.customers())
        assert summary.customers == len({who for (who,) in made.customers()})
        known = {
            who
            for who, age in made.fetch("SELECT customer_id, age FROM raw.raw_crm")
            if who is not None and age != 97
        }
        events = [who for who, *_ in made.events("web")]
        assert made.counted("web")[None, "kept"] == sum(who in known for who in events)
        assert made.counted("web")[None, "orphan"] == sum(who not in known for who in events)
