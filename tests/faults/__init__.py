"""What commands leave behind when they are killed, refused, or run out of disk.

`make test` tries a few points of each command; `make faults` tries a hundred. The number is that of
the environment variable FACELINK_FAULT_SEEDS; FACELINK_SEED chooses other points.
"""
