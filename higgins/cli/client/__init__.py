"""How a cloud is found and spoken to; the only part of the command line that sends anything."""
