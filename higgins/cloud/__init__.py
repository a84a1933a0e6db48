"""Thin typed ports to the cloud's services. Only the control plane imports them; a host never does."""
