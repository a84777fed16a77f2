"""Settings of all tests: hypothesis draws the same examples every time and keeps no folder."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")
