"""A page about a model, a segmented stack and its quantities, which people read without having made any of them.

`sources.py` reads what is given, `agreement.py` refuses what does not belong together, `sections/` makes content of
it, a module a section, and `page.py` writes that as one HTML file.
"""
