"""What things cost, as ratios to peers."""
