"""Readers of files, one for each family of formats: each gives a `jaxstyle.pictures.stored.Stored`.

They raise `InputError` for what is whole but not read, and whatever their libraries raise for what is damaged.
"""
