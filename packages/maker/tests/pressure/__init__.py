"""Pressure: kills, full disks, clocks that jump, two people at once. Anybody can run each row for longer.

python -m tests.pressure --times 1000 --only kills-of-apply      # from packages/maker
"""
