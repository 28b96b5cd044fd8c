"""Painting in one pass: networks trained for some styles, and decoders that serve any."""
