"""Plans and figures -> what people read: tables, JSON, CSV, Markdown, drawings, plots.

Knows how numbers are rounded and laid out; must not know torch, and computes no cost itself.
"""
