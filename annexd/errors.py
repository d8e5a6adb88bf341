"""What goes wrong for the person who gave a command."""


class AnnexdError(Exception):
    """One line for stderr: what is wrong, and what to do."""

    exit_status = 100
    """100: will not work until something is changed.  111: temporary, try again."""


class CommandLineError(AnnexdError):
    """What was typed makes no sense."""

    exit_status = 2


class TemporaryError(AnnexdError):
    """It may work the next time."""

    exit_status = 111
