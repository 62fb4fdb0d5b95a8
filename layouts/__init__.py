"""What the pages are made of: ids beside their layout, components, figures. No callbacks here."""

from layouts.shell import index, shell

__all__ = ["index", "shell"]
