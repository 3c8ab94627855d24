"""Error bars."""
