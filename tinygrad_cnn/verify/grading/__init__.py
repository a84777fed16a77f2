"""Exercises in backward passes: ``exercises`` says what each asks for, ``grades`` judges."""

from tinygrad_cnn.verify.grading.exercises import EXERCISES, Exercise
from tinygrad_cnn.verify.grading.grades import Grade, Grades, grade

__all__ = ["EXERCISES", "Exercise", "Grade", "Grades", "grade"]
