"""Configuration: options, their help, and how files are read. Only cmd imports it; everybody else is given plain values."""
