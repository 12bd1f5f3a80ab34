"""Every reader fed with bytes that nobody checked before.

`tests.fuzz.readers` lists the readers, each with small files that it reads. The properties in
`tests/properties/test_fuzz_*.py` change those files in ways that know their structure; `make fuzz`
runs `tests.fuzz.run`, which changes their bytes, led by the code that they reach.
"""
