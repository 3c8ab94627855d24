"""Interactive viewers in a page: the slices of a stack with labels, and the layers of a test slice side by side.

They return HTML that a page embeds; the page embeds `ASSETS` once, before or after the HTML. Nothing is loaded, so it
works under the policy ``default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src
'unsafe-inline'``.

`encoding.py` encodes pictures and label images for a page, `budget.py` limits their size, `stack.py` and `compare.py`
are the two widgets, and `markup.py` fills their templates. In ``browser.js``, class View draws for both.
"""

from monai_app.reporting.browser.compare import ComparedSlice, compare_layers
from monai_app.reporting.browser.markup import ASSETS, Assets
from monai_app.reporting.browser.stack import stack_browser

__all__ = ["ASSETS", "Assets", "ComparedSlice", "compare_layers", "stack_browser"]
