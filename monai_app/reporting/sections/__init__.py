"""The sections of a page: each module returns the content of one section, or None without its sources."""

from monai_app.progress import Progress
from monai_app.reporting.content import Section
from monai_app.reporting.sections.calibration import calibration
from monai_app.reporting.sections.files import files
from monai_app.reporting.sections.labels import labels
from monai_app.reporting.sections.methods import methods
from monai_app.reporting.sections.model import model
from monai_app.reporting.sections.pictures import compared, stack_slices
from monai_app.reporting.sections.quantities import quantities
from monai_app.reporting.sections.sample import sample
from monai_app.reporting.sections.scores import scores
from monai_app.reporting.sections.study import study
from monai_app.reporting.sections.summary import summary
from monai_app.reporting.sources import Sources


def sections_of(sources: Sources, budget: int, progress: Progress) -> list[Section]:
    """Return all sections that have content.

    Args:
        sources: what the page is about.
        budget: maximum bytes of the pictures of the stack.
        progress: called for every slice that is drawn.
    """
    made = (
        *(
            summary(sources),
            sample(sources),
            model(sources),
            compared(sources),
            scores(sources),
            calibration(sources),
            labels(sources),
        ),
        *(
            stack_slices(sources, budget, progress),
            quantities(sources),
            study(sources),
            methods(sources),
            files(sources),
        ),
    )
    return [each for each in made if each is not None]
