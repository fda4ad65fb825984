"""Segments in OpenRTB bid requests, where consent allows."""
