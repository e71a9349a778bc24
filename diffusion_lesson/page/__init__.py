"""What the reader sees and touches; nothing here trains."""
