"""What hosts are handed and what they report."""
