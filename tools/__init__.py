"""What keeps the course in order: run as `python -m tools.NAME`, from the top of the repository."""
