"""Benchmarks that need a whole OpenStack around them; they run inside a test cloud that is up (``script/cloud exec admin bench/run s3``)."""
