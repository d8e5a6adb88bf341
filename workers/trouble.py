"""What is wrong with the machine, not with the program."""


class TroubleError(Exception):
    """A person must do something; the text says what is wrong and which command mends it.

    A worker that raises it dies and is tried again, with growing delay, like any other; but the
    log gets this one line and no traceback.
    """
