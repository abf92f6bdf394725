"""What this is a version of."""

__version__ = "0.1.0"
