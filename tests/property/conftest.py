"""Hypothesis profiles: `ci` has a fixed budget and fixed choices, `thorough` searches anew."""

import os

from hypothesis import settings

settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, database=None, print_blob=False
)
settings.register_profile("thorough", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
