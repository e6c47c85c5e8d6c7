"""What a person is told while engines are built."""

import click


class Reporter:
    """Says each step in a line on stderr; `quiet` says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text, err=True)
