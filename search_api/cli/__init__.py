"""The ``kindred`` command.

Command modules import what they need inside their functions, so that ``kindred --help`` answers
before a model library could even be found.
"""

from search_api.cli.main import main

__all__ = ["main"]
