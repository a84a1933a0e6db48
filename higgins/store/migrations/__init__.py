"""The history of the tables, run by ``higgins.store.migrate``. Each version is frozen once released."""
