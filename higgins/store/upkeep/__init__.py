"""What keeps the database in order and tells how it is: old history, sums counted again, gauges."""
