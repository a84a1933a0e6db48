"""The REST API: HTTP in, use cases called, JSON out. Knows no table, no engine and no host; the use cases are in ``higgins.control``."""
