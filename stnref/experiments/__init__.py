"""The paper's networks and experiments."""
