"""The D'insight domain: baselines, maps, streams and accounts. It knows no web framework."""

__version__ = "0.1.0"
