"""Gives every pod a host: pending -> assigned. Choosing is pure; claims are taken under guards in the store."""
