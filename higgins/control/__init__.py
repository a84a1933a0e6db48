"""The use cases: policy, quota, the wish written in one transaction, and a hint. Knows no HTTP, no SQL and no engine."""
