"""The driver for Docker Engine, 20.10 and newer."""
