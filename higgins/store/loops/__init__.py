"""What the controller's loops read and write: the scheduler, provisioning and housekeeping, a module each."""
