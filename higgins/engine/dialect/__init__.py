"""The HTTP dialect that Docker speaks and Podman answers too: one client, one translation, the verbs that both share."""
