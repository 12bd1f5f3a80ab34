from hypothesis import settings

# The same examples in every run, and no limit that a slow machine could break.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
