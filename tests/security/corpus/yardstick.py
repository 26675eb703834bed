"""What a time of this moment would be on a quiet machine: side by side with other work, all code takes longer."""

import time
from fractions import Fraction

_QUIET = 0.008  # seconds that the work below takes on one; on a slower kind of machine, limits are as much longer


def on_a_quiet_machine(seconds: float, most: float) -> float:
    """Give processor time that has just been spent, measured by that of other work, if it is more than it may be.

    :param most: what it may be; less is given as it is.
    """
    if seconds <= most:
        return seconds
    started = time.process_time()
    len({Fraction(number, 7) for number in range(4000)})  # as what takes longest: hashing and comparing in Python
    return seconds / max(1.0, (time.process_time() - started) / _QUIET)
