"""Ways to run an ingest: on this machine, later on a Ray cluster. The stages are the same."""
