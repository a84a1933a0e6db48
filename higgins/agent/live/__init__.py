"""Live questions of the control plane: who may ask, and what the host answers."""
