import os

import torch
from hypothesis import settings

# Precision "auto" is float32, as the references are, on processors that have bfloat16 too.
torch.cpu.get_capabilities = dict

# The same examples in every run, and no limit that a slow machine could break.
settings.register_profile("repeatable", derandomize=True, deadline=None)
# HYPOTHESIS_PROFILE=long: other examples in every run, and many more of them.
settings.register_profile("long", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
