"""What ``higgins-up`` needs to run everything on one machine: its state directory, and its processes."""
