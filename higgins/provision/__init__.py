"""Makes what the outside must give a pod that has its host, and takes it back when the pod is over: assigned -> provisioned."""
