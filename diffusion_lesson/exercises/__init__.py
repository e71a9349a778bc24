"""What checks a reader's answers, and tells their mistakes apart."""
