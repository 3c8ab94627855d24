from .api import AppError as AppError
from .api import Labels as Labels
from .api import Quantities as Quantities
from .api import Run as Run
from .api import Scores as Scores
from .api import Stack as Stack
from .api import annotate as annotate
from .api import evaluate as evaluate
from .api import ingest as ingest
from .api import quantify as quantify
from .api import report as report
from .api import segment as segment
from .api import segment_images as segment_images
from .api import train as train

__version__: str
