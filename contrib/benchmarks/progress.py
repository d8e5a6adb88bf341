"""What the program is doing, for whoever watches."""

import sys
import time


def say(text: str) -> None:
    """One line (or some) on stderr, with the time."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
