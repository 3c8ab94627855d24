"""Results of a study as text, tables and a figure."""
