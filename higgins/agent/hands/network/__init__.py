"""The host's side of a pod's networks: a namespace, a link for each port in it, and the switch on the other end of each link."""
