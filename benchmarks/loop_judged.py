"""Judges sixty nights of the loop by what is published, and by what was planted."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.loop_homes import CHANGED, DOES_NOTHING, FIRST, WORKS, Home, Plan
from segmentation_pipeline.demo import planted
from segmentation_pipeline.warehouse import literal

WITHIN_NIGHTS = 3
ENOUGH_POWER = 0.95


@dataclass(frozen=True)
class Wanted:
    """Something that is wanted, as it came out."""

    what: str
    measured: str
    limit: str
    is_met: bool


def judge_drift(home: Home) -> Iterator[Wanted]:
    """Judge what was decided, night by night."""
    decisions = home.ask("SELECT as_of, decision, causes FROM refit_decision ORDER BY as_of")
    before = [row for row in decisions if FIRST < row[0] < CHANGED and row[1] != "keep"]
    alarms = home.ask(
        "SELECT as_of, feature FROM feature_drift WHERE level = 'alarm' ORDER BY as_of, feature"
    )
    early = [row for row in alarms if row[0] < CHANGED]
    yield Wanted(
        f"alarms and decisions other than keep on the {(CHANGED - FIRST).days - 1} nights before",
        str(len(before) + len(early)), "0", not before and not early,
    )  # fmt: skip
    flagged = [row for row in alarms if row[0] >= CHANGED]
    night = (flagged[0][0] - CHANGED).days + 1 if flagged else None
    yield Wanted(
        "night of the first alarm, that of the change being 1",
        str(night), f"<= {WITHIN_NIGHTS}", night is not None and night <= WITHIN_NIGHTS,
    )  # fmt: skip
    features = sorted({feature for _, feature in flagged})
    yield Wanted(
        "features with an alarm, ever",
        ", ".join(features), "contract_value_eur", features == ["contract_value_eur"],
    )  # fmt: skip
    refits = [row for row in decisions if row[1] == "refit"]
    yield Wanted("decisions to refit", str(len(refits)), "1", len(refits) == 1)
    alerts = [row for row in decisions if row[1] == "alert"]
    yield Wanted("decisions to call a person", str(len(alerts)), "0", not alerts)


def judge_models(home: Home) -> Iterator[Wanted]:
    """Judge challenger, promotion, ids and moves."""
    promoted = home.ask(
        "SELECT from_date, decided_by FROM model_events WHERE status = 'champion' AND version > 1"
    )
    yield Wanted(
        "promotions", ", ".join(f"{date} by {who}" for date, who in promoted) or "none",
        "1, by the gates", [who for _, who in promoted] == ["system"],
    )  # fmt: skip
    was, stays = home.ask(
        "SELECT count(*), count(*) FILTER (segment_id IN (SELECT segment_id FROM segments))"
        " FROM segment_registry WHERE born_model_version = 1"
    )[0]
    yield Wanted(
        "segments of the first model that are there on the last night, under their id",
        f"{stays} of {was}", "all", was == stays,
    )  # fmt: skip
    wrong, compared = _changed_meaning(home)
    yield Wanted(
        "segments whose customers are mostly of another planted segment than on the first night",
        f"{wrong} of {compared}", "0", wrong == 0,
    )  # fmt: skip
    caught, pure = _newcomers(home)
    yield Wanted(
        "the group that joined: share of it in a segment of its own, and its share of that",
        f"{caught:.1%}, {pure:.1%}", ">= 90 %, both", min(caught, pure) >= 0.9,
    )  # fmt: skip
    quiet = home.ask(
        "SELECT max(churn_share) FROM segment_nights"
        f" WHERE as_of <> {literal(CHANGED)} AND as_of NOT IN"
        " (SELECT from_date FROM model_events WHERE status = 'champion')"
    )[0][0]
    yield Wanted(
        "largest share that moved on a night without the change or a new model",
        f"{quiet:.2%}", "< 1 %", quiet < 0.01,
    )  # fmt: skip


def judge_effects(home: Home, plans: dict[str, Plan]) -> Iterator[Wanted]:
    """Judge the verdicts, by what was foreseen of them."""
    works = plans[WORKS]
    if works.power >= ENOUGH_POWER:
        wanted, begins = f"found (power {works.power:.3f})", "more by"
    else:
        wanted, begins = f"not claimed (power {works.power:.3f})", "no detectable effect; smallest"
    for strategy, said, start in (
        (WORKS, wanted, begins),
        (DOES_NOTHING, "no effect claimed", "no detectable effect; smallest"),
    ):
        verdict = home.ask(
            f"SELECT verdict FROM strategy_effects WHERE strategy = '{strategy}'"
            " AND segment_id = 'all'"
        )[0][0]
        yield Wanted(f"verdict of `{strategy}`", verdict, said, verdict.startswith(start))


def judge_control(control: Home) -> Iterator[Wanted]:
    """Judge the home in which everything grows by and by, and nothing else happens."""
    decisions, other = control.ask(
        "SELECT count(*), count(*) FILTER (decision <> 'keep') FROM refit_decision"
        f" WHERE as_of > {literal(FIRST)}"
    )[0]
    yield Wanted(f"decisions other than keep on {decisions} nights", str(other), "0", other == 0)
    alarms, warnings = control.ask(
        "SELECT count(*) FILTER (level = 'alarm'), count(*) FILTER (level = 'warn')"
        " FROM feature_drift"
    )[0]
    yield Wanted("alarms of features", str(alarms), "0", alarms == 0)
    yield Wanted("warnings of features", str(warnings), "none is wanted, few are allowed", True)
    versions = control.ask("SELECT count(*) FROM model_versions")[0][0]
    yield Wanted("models that there ever were", str(versions), "1", versions == 1)
    moved = control.ask("SELECT max(churn_share) FROM segment_nights")[0][0]
    yield Wanted("largest share that moved in a night", f"{moved:.2%}", "< 1 %", moved < 0.01)
    won = control.ask(
        "SELECT count(*) FROM strategy_effects WHERE verdict LIKE 'more by%'"
        " OR verdict LIKE 'less by%'"
    )[0][0]
    yield Wanted("strategies with an effect", str(won), "0", won == 0)


def _planted_sql(home: Home) -> str:
    return (
        f"(SELECT customer_id, as_of, segment AS planted FROM {literal(str(home.truth))}"
        " WHERE segmentation = 'engagement')"
    )


def _changed_meaning(home: Home) -> tuple[int, int]:
    """Segments whose commonest planted segment is another than on the first night; and all."""
    rows = home.ask(
        "WITH placed AS ("
        " SELECT n.as_of, h.segment_id, mode(t.planted) AS planted"
        f" FROM (VALUES ({literal(FIRST)}), ({literal(planted.LAST_NIGHT)})) AS n(as_of)"
        " JOIN segment_history h ON h.valid_from <= n.as_of"
        "   AND (h.valid_to IS NULL OR h.valid_to > n.as_of)"
        f" JOIN {_planted_sql(home)} t ON t.customer_id = h.customer_id AND t.as_of = n.as_of"
        " WHERE h.segmentation = 'engagement' GROUP BY ALL)"
        " SELECT a.planted <> b.planted FROM placed a JOIN placed b USING (segment_id)"
        f" WHERE a.as_of = {literal(FIRST)} AND b.as_of = {literal(planted.LAST_NIGHT)}"
    )
    return sum(is_other for (is_other,) in rows), len(rows)


def _newcomers(home: Home) -> tuple[float, float]:
    """Share of the newcomers in segments that were born later, and their share of these."""
    rows = home.ask(
        "SELECT count(*) FILTER (theirs AND born) / count(*) FILTER (theirs),"
        " count(*) FILTER (theirs AND born) / count(*) FILTER (born) FROM ("
        f" SELECT t.planted = '{planted.ENGAGEMENT.newcomers}' AS theirs,"
        "  c.segment_id IN"
        "   (SELECT segment_id FROM segment_registry WHERE born_model_version > 1) AS born"
        f" FROM customer_segments c JOIN {_planted_sql(home)} t USING (customer_id, as_of))"
    )
    caught, pure = rows[0]
    return caught or 0.0, pure or 0.0
