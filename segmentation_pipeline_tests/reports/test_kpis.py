"""A card tells a segment's KPIs in a line each, and no change that may be chance."""

from segmentation_pipeline.reports.kpis import kpi_lines


def row(kpi, value, *bounds, kind="mean", unit=None, change=(None, None, None), before=None):
    lower, upper = bounds or (None, None)
    return {
        "kpi": kpi, "description": f"About {kpi}", "kind": kind, "unit": unit, "value": value,
        "lower": lower, "upper": upper, "previous_value": before, "change": change[0],
        "change_lower": change[1], "change_upper": change[2],
    }  # fmt: skip


def test_figures_are_told_next_to_everybodys():
    lines = kpi_lines(
        [
            row("active", 0.62, 0.55, 0.68, kind="binary", change=(0.12, 0.04, 0.2), before=0.5),
            row("revenue", 1796.5, 1500, 2100.4, kind="heavy", unit="EUR/month"),
            row("visits", 2.5, 2, 3, change=(-0.1, -0.4, 0.2), before=2.6),
            row("click_rate", 0.3, 0.2, 0.4, kind="ratio", change=(-0.1, -0.15, -0.05), before=0.4),
            row("withheld", None),
            row("basket", 12.0, kind="ratio", unit="EUR"),
        ],
        [row("active", 0.5, 0.4, 0.6, kind="binary"), row("withheld", 3.0), row("visits", None)],
    )

    assert lines == [
        ("About active", "62% (55% to 68%); everybody 50%; up from 50%"),
        ("About revenue", "1,796 (1,500 to 2,100) EUR/month"),
        ("About visits", "2.5 (2 to 3); no clear change"),
        ("About click_rate", "30% (20% to 40%); down from 40%"),
        ("About basket", "12 EUR"),
    ]
