"""Customer segments from surveys, CRM records and web events, refreshed every night."""
