"""The planted truth, as data: two segmentations of the same hospital staff, and how each shows.

Tuned once, on seeds 1000-1019, for two things: the best possible adjusted Rand index (by these very
densities, with the mess on) is about 0.97 for each, and the centres stand about equally far from
each other in the natural standardised features, so that no smaller k has the better silhouette.
What the data suffer on their way into files is in `mess.py`.
"""

import datetime as dt
from dataclasses import dataclass

from segmentation_pipeline.demo.observation import Category, Measure, Rate, Response

LAST_NIGHT = dt.date(2025, 6, 30)
HISTORY_DAYS = 120
"""The first web file reaches back so many days before the first night."""
MAIL_EVERY_DAYS = 30
"""Everyone gets one newsletter in so many days, each on a day of their own."""
TURN_DAYS = 730
"""Latents turn once in so many days (see `Draws.gaussian_sql`): they drift by 0.9 % of a standard
deviation a night, and stay as they are distributed."""
MOVE_SHARE = 0.003
"""The share of customers that moves to another planted segment each night, in each segmentation."""

WEB_LEADS_DAYS = 60
"""Behaviour on the web changes so many days before contract and answers do, and the truth with
them: 90 days of events then show a customer's present segment, not the one before."""
BORDER = 0.2
"""Whose expected features lie less than this t beyond the border between two centres is not clearly
in either: there rule 3 of the statistics leaves everybody where they were."""


@dataclass(frozen=True)
class PlantedSegmentation:
    """A segmentation's name, its segments, and their shares on the first night."""

    name: str
    segments: tuple[str, ...]
    shares: tuple[float, ...]
    first_at_once: int = 0
    """From this segment on, a move from one to another shows on its date: on the eve of it, by what
    is counted in 90 days, customers clearly are in the old one still (t below -BORDER between the
    centres). The segments before it differ from all others mostly in such counts."""
    newcomers: str | None = None
    """A further segment, of those who join all at once where a scenario has them; how it shows
    comes after the others."""


ENGAGEMENT = PlantedSegmentation(
    "engagement",
    ("digital_enthusiasts", "mail_readers", "event_goers", "hard_to_reach"),
    (0.25, 0.29, 0.25, 0.21),
    first_at_once=1,
    newcomers="key_accounts",
)
CONTRACT_VALUE = Measure("amount", (7.9, 7.45, 7.95, 6.6, 8.9), 0.38)
ATTENDED_EVENTS = Measure("count", (1.2, 0.85, 2.25, 0.85, 0.3), 0.34)
VISIT_MINUTES = Measure("whole", (15.5, 22.0, 29.0, 12.0, 40.0), 3.9)
PREFERRED_CHANNEL = Category(
    ("email", "phone", "visit", "web"),
    ((25, 15, 15, 45), (45, 15, 20, 20), (20, 20, 40, 20), (20, 40, 20, 20), (10, 25, 60, 5)),
)
EVENT_RATES = {
    "landing_page_visit": Rate((4.5, 0.6, 0.5, 0.3, 0.4)),
    "online_service": Rate((3.5, 0.4, 0.35, 0.2, 0.3)),
    "network_usage": Rate((2.2, 0.3, 0.3, 0.15, 0.2)),
}
LIFTED_STRATEGY = "services_on_the_web"
LIFTED_EVENT = "online_service"
LIFTED_SEGMENT = 0
"""The engagement segment that the strategy is for, by its index."""
MAILS_OPENED = Response((0.50, 0.94, 0.20, 0.10, 0.60))
MAILS_CLICKED = Response((0.30, 0.25, 0.15, 0.15, 0.20))

PROFESSION = PlantedSegmentation(
    "profession",
    ("research_leaders", "established_clinicians", "junior_and_support"),
    (0.27, 0.38, 0.35),
)
AGE = Measure("years", (43.0, 52.0, 33.5), 7.0)
PUBLICATIONS = Measure("count", (3.05, 1.5, 0.85), 0.48)
CONGRESSES = Measure("count", (2.25, 1.45, 0.68), 0.40)
PARTNERSHIPS = Measure("count", (1.85, 0.75, 0.85), 0.40)
EDUCATION = Category(
    ("Bachelor", "Master", "Doctorate"),
    ((1, 11, 88), (3, 23, 74), (74, 23, 3)),
)
ROLE = Category(
    (
        "Nurse",
        "Medical Assistant",
        "Nurse Practitioner",
        "Physician Assistant",
        "Registered Nurse",
        "Pharmacist",
        "Intern",
        "Dentist",
        "Resident",
        "Chief of Surgery",
        "Physician",
        "Chief of Medicine",
        "Surgeon",
        "Medical Director",
    ),
    (
        (0.2, 0.2, 0.2, 4, 5, 29, 0.4, 0.5, 5, 4, 12, 12, 3, 24.5),
        (0.2, 0.2, 0.2, 1, 1, 1, 2, 15, 8, 11, 26, 9, 23.4, 2),
        (23.5, 16, 18.5, 10, 14, 5, 8, 1, 2, 0.4, 0.8, 0.3, 0.3, 0.2),
    ),
)
PRESCRIPTION_ATTITUDE = Category(
    ("Negative", "Neutral", "Positive"),
    ((60, 32, 8), (4, 18, 78), (25, 50, 25)),
)
COLLABORATION_ATTITUDE = Category(
    ("Negative", "Unwilling", "Neutral", "Willing", "Positive"),
    ((1, 3, 9, 33, 54), (48, 32, 14, 5, 1), (6, 16, 46, 23, 9)),
)

SEGMENTATIONS = (ENGAGEMENT, PROFESSION)
