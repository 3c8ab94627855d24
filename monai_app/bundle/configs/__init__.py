"""Bundle configs: where they are, which settings they have, and what they may do."""
