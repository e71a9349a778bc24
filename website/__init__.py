"""The course as a static site, made of the executed notebooks and of README."""
