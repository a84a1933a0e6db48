"""What threads need of each other, whatever they do: several things at once, turns, what is put off, what a process has only once.

Knows only core.
"""
