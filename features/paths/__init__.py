"""Conversion paths: touches and conversions of people."""
