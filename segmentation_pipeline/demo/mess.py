"""What real files do to the truth, as data: shares, null words, spellings, impossible values."""

from segmentation_pipeline.demo import planted

# A blank cell is an empty one, or one of two words. Once blank, a CRM cell stays so on every night.
EMPTY_SHARE = 0.03
NULL_WORDS = {"n/a": 0.01, "-": 0.01}
BLANK_SHARE = EMPTY_SHARE + sum(NULL_WORDS.values())
"""Of the cells of each column listed in BLANKED, on their own."""
BLANKED = {
    "survey": (
        "education",
        "role",
        "prescription_attitude",
        "collaboration_attitude",
        "average_visit_minutes",
        "engagement_driver",
        "preferred_channel",
    ),
    "crm": (
        "birth_date",
        "gender",
        "department",
        "publications",
        "congresses",
        "partnerships",
        "attended_events",
        "contract_value_eur",
    ),
}

DUPLICATE_SHARE = {"survey": 0.01, "crm": 0.01, "web": 0.005}
"""Rows that stand in the file twice, character by character."""
ORPHAN_SHARE = 0.01
"""People who answer and click but are in no CRM snapshot, per customer."""
SILENT_SHARE = 0.03
"""Customers who never answered the survey."""
PERMISSION_SHARE = 0.92
"""Customers who agreed to be contacted."""
LATE_SHARE = 0.04
"""Customers whose first answer came after the first night."""
REPEATED_SHARE = 0.15
"""Customers who answered again, at a later date."""
SURVEY_DAYS = 90
"""The survey was open so many days before the first night."""
JOIN_SHARE = 0.002
LEAVE_SHARE = 0.002
"""Customers who join and leave the CRM each night, per customer of the first night."""
IMPOSSIBLE_BIRTH_SHARE = 0.005
IMPOSSIBLE_BIRTHS = ("1893-04-01", "1900-01-01", "2031-07-15", "2091-02-11")
PADDED_SHARE = 0.01
"""Cells of a category with blanks before and after the word."""

DEPARTMENTS: dict[str, tuple[str, ...]] = {
    "Cardiology": ("cardiology", "Cardio"),
    "Emergency": ("emergency", "ER"),
    "Neurology": ("neurology", "Neuro"),
    "Oncology": ("oncology", "Onco"),
    "Orthopaedics": ("orthopaedics", "Orthopedics"),
    "Paediatrics": ("paediatrics", "Pediatrics"),
    "Radiology": ("radiology", "X-ray"),
    "Surgery": ("surgery", "Surg."),
}
GENDERS: dict[str, tuple[str, ...]] = {
    "female": ("F", "Female", "woman"),
    "male": ("M", "Male", "man"),
}
ENGAGEMENT_DRIVERS = ("Convenience", "Price", "Quality", "Recognition", "Science")

CANONICAL_SHARE = 0.7
"""Cells that spell a category as it is called here; the others use one of its other spellings."""
SPELLINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "department": DEPARTMENTS,
    "gender": GENDERS,
    "education": {
        "Bachelor": ("bachelor", "Bachelors", "Bachelor's degree", "B.Sc.", "BSc"),
        "Master": ("master", "Masters", "Master's degree", "M.Sc.", "MSc"),
        "Doctorate": ("doctorate", "Doctor", "Doctoral degree", "Ph.D.", "PhD"),
    },
    "role": {
        role: (role.replace(" ", ""), role.lower()) if " " in role else (role.lower(),)
        for role in planted.ROLE.values
    },
}

FIRST_NAMES = (
    "Ada", "Amir", "Anna", "Bela", "Carla", "Chen", "Dana", "Elif", "Emil", "Fatima", "Goran",
    "Hana", "Igor", "Ines", "Jana", "Jonas", "Kofi", "Lea", "Luca", "Maja", "Marek", "Nadia",
    "Nils", "Olga", "Paul", "Priya", "Rosa", "Samir", "Sven", "Tara", "Viktor", "Yuki",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Bauer", "Costa", "Demir", "Eriksen", "Fischer", "Garcia", "Haas", "Ito", "Jansen",
    "Kaya", "Lang", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Santos", "Tanaka",
    "Ueda", "Vogel", "Weber", "Xu", "Yilmaz", "Zeman",
)  # fmt: skip
