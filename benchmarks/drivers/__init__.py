"""One program for each library and side, run as a module by the Python of an environment that has the library.

They import nothing but the library, the standard library and each other, so that any environment can run them.
"""
