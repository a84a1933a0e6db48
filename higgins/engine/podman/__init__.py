"""The driver for Podman, 4.3 and newer, by its REST service."""
