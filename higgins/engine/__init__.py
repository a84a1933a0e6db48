"""Container engines: one Protocol, its abilities, and a folder a driver. Knows the core's words and nothing of pods' wishes."""
