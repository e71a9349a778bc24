"""Sphinx's settings for the site. Nothing of a page comes from elsewhere: it works without network."""

from tools.address import repository

project = "Diffusion, from nothing to a trained model"
extensions = ["myst_nb"]
exclude_patterns = ["_build"]
templates_path: list[str] = []

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_block"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
mathjax_path = "mathjax/es5/tex-chtml.js"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # it would fetch the pages found, which a browser refuses for files
html_domain_indices = False
html_use_index = False
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "logo": {"text": "Diffusion, from nothing"},
    "show_prev_next": True,
    "footer_content_items": [],  # a name that is not set, and a copyright that is not shown
    "navbar_persistent": [],  # the search stands in the sidebar
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
if address := repository():
    html_theme_options |= {"repository_url": address, "use_repository_button": True}
