"""Looking at slices within a page: the slices of a stack under their labels, and a test slice's layers side by side.

What is given is HTML that a page embeds; the page embeds `ASSETS` once, the script after the HTML or before. Nothing is
loaded, so it works under the policy ``default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src
'unsafe-inline'``.

`encoding.py` makes pictures and label images for a page, `budget.py` says how large they may be, `stack.py` and
`compare.py` are the two widgets, `markup.py` puts what they show into the templates. In ``browser.js`` class View draws
for both of them.
"""

from monai_app.reporting.browser.compare import ComparedSlice, compare_layers
from monai_app.reporting.browser.markup import ASSETS, Assets
from monai_app.reporting.browser.stack import stack_browser

__all__ = ["ASSETS", "Assets", "ComparedSlice", "compare_layers", "stack_browser"]
