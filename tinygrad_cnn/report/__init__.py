"""What a training run looks like: figures, and one page that tells all of it.

Figures need matplotlib, the page comes without it too. Nothing here trains: it is given plain data.
"""

from tinygrad_cnn.report.figures import (
    FiguresMissing,
    confusion_matrix,
    curves,
    feature_maps,
    filters,
    gradient_histograms,
    worst_mistakes,
)
from tinygrad_cnn.report.gradients import GradientLog
from tinygrad_cnn.report.page import report_text, save_report
from tinygrad_cnn.report.run import Run

__all__ = [
    "FiguresMissing",
    "GradientLog",
    "Run",
    "confusion_matrix",
    "curves",
    "feature_maps",
    "filters",
    "gradient_histograms",
    "report_text",
    "save_report",
    "worst_mistakes",
]
