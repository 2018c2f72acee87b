"""What tests of a voice application need: a server that breaks on demand, time that stands still.

Nothing is imported here; take what you need from the modules. Fixtures for pytest are those of
:mod:`fishlive.testing.plugin`.
"""
