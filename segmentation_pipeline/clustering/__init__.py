"""From a feature matrix to a model: candidates, the choice among them, and scoring by it."""
