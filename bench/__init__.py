"""Benchmarks: what Higgins costs beside the engine alone, measured in one run. Nothing of the service imports this."""
