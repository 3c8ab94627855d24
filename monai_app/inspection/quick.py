"""A quick check of a stack before training or segmentation."""

import logging

from monai_app.inspection.images import stored
from monai_app.inspection.inspect import inspect
from monai_app.stack import Stack

_MOST = 5
"""Lines that are logged."""


def warn_of_faults(stack: Stack) -> None:
    """Check the smallest level of a stack, and log at most five findings.

    Errors are ignored here: data that cannot be read is reported by the code that needs it.
    """
    logger = logging.getLogger(__name__)
    try:
        findings = inspect(stored(stack, overview=True), quick=True).findings
    except Exception as error:  # whatever a damaged store raises
        logger.warning("the stack was not inspected (%s: %s)", type(error).__name__, error)
        return
    shown = findings if len(findings) <= _MOST else findings[: _MOST - 1]
    for finding in shown:
        logger.warning("%s", finding.line)
    if len(findings) > len(shown):
        logger.warning(
            "%d more findings; 'monai-app inspect %s' shows all", len(findings) - len(shown), stack.path.name
        )
