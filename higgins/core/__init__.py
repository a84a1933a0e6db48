"""Pure: frozen data, states, errors, units and names that every other folder shares. No I/O, no clock, no config."""
