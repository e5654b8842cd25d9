"""Pictures and words of a result. Importing this imports no matplotlib; the first picture does."""

from pcan_pose.report.drawing import name_note
from pcan_pose.report.evaluation import plot_class_f1, plot_confusion, plot_evaluation
from pcan_pose.report.run_report import RunResult, write_report
from pcan_pose.report.training import plot_training

__all__ = [
    "RunResult",
    "name_note",
    "plot_class_f1",
    "plot_confusion",
    "plot_evaluation",
    "plot_training",
    "write_report",
]
