"""Entry points: the only folder that reads configuration, builds objects from it and wires them together."""
