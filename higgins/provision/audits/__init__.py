"""What the cloud's services have of ours, compared with the ledger both ways: one module a service, for ``higgins-manage audit``."""
