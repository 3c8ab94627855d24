"""A report page about a model, a segmented stack and its quantities, for readers who did not produce them.

`sources.py` reads the sources, `agreement.py` checks that they belong together, `sections/` has one module per section,
and `page.py` writes one HTML file.
"""
