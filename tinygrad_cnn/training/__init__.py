"""Training runs: recipes, the loop, checkpoints, the run folder, and answers of a finished run."""

from tinygrad_cnn.training.errors import RunError, SettingsError
from tinygrad_cnn.training.recipes import OPTIMIZERS, RECIPES, SCHEDULES, Recipe, Settings
from tinygrad_cnn.training.trainer import Trainer

__all__ = [
    "OPTIMIZERS",
    "RECIPES",
    "SCHEDULES",
    "Recipe",
    "RunError",
    "Settings",
    "SettingsError",
    "Trainer",
]
