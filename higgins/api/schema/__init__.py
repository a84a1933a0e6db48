"""What each resource's fields are: one table a resource gives request checks, response filter, version history and the OpenAPI document."""
