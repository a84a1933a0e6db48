"""The dashboard's project page starts with containers: its overview is Nova's, and there is no Nova here. Only names panels."""

PANEL = "container.containers"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "container"
DEFAULT_PANEL = "container.containers"
