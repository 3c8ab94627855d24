"""Bundle configs: where they are, which settings they take, and what they may do."""
