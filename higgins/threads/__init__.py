"""What threads need of each other, whatever they do: several things at once, turns, what is put off, types learnt in turn. Knows only core."""
