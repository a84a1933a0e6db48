"""The host's side: looks after the pods assigned to this host. Knows the wire and the engine, never the database or the cloud."""
