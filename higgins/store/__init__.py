"""The database: the only place that knows SQL. Hands out frozen rows and takes guarded changes; decides nothing."""
