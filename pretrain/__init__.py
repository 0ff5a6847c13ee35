"""Learning on land that never was."""
