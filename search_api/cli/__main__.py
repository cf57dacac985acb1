"""``python -m search_api.cli``: the same as ``kindred``."""

from search_api.cli.main import main

main()
