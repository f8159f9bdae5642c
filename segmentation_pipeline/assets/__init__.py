"""The Dagster layer: a module per stage that wires the rooms; no logic lives here."""
