"""Which networks and security groups a request means: the engine's one network, or Neutron's as the user sees them."""
