"""The command line. What is heavy is imported only by the command that needs it."""

from mckean.cli._app import main as main
