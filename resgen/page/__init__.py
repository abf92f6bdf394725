"""What others found -> one HTML file: data sheets, comparisons, experiments.

Must not know how anything is measured or trained: a proof is made by the function it is given, and
what came of a run is read from its folder.
"""

from resgen.page.comparison import comparison_page
from resgen.page.experiment import experiment_page
from resgen.page.sheet import spec_page

__all__ = ["comparison_page", "experiment_page", "spec_page"]
