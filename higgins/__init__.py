"""Higgins: containers as first-class compute in OpenStack."""
