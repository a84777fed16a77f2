"""The interactive page: one HTML file that needs no network, and the section that it is made of.

The page's own code is plain JavaScript modules beside this file; `assemble` puts them, the
styles, the vendored layout library and the graph's data into one text.
"""

from tinygrad_cnn.viz.page.assemble import page_text, save, section

__all__ = ["page_text", "save", "section"]
