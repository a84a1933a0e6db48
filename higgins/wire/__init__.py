"""Between hosts and the control plane: the types, the long-poll endpoint, its client, and wake-ups between replicas."""
