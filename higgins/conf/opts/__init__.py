"""The options, a module for each side of the service. Each names its groups in ``GROUPS``."""
