"""From pictures to weights to scores."""
