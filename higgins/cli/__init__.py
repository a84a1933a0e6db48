"""The command line ``higgins``: a client of the container API and of nothing else."""
