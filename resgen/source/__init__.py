"""Plan -> Python text that needs only torch -> module: what is read is what runs.

Knows how layers, blocks and networks are written by hand; must not know the spec's words.
Only `module` imports torch; `parts` is torch code that is read here as text.
"""

from resgen.source.file import emit_source

__all__ = ["emit_source"]
