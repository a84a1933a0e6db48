"""What the agent looks after besides pods: wished images, health checks, the host's inventory, and what nobody assigned."""
