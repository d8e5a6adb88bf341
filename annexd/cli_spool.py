"""The commands that are about what is synced: status, wait, transfers, pause, cancel, retry."""

import typer

app = typer.Typer()
