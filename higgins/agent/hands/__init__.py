"""What the agent can do on its host besides the engine's own verbs: files, volumes, images. Each thing done is safe to repeat."""
