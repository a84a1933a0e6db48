"""The database: the only place that knows SQL. Hands out frozen rows and takes guarded changes; decides nothing.

Here are the tables that others decide on; ``records`` has the plain ones, ``loops`` what the controller's loops read and write, ``agents`` what
hosts are handed and report, ``upkeep`` what keeps the rest in order.
"""
