"""Tables that nothing is decided on: each module reads and writes one of them."""
