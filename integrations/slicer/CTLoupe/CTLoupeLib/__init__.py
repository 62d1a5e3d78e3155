"""What the module does without 3D Slicer: the command line, its process, its files, and where volumes lie.

Only Python's own library is used, in the version that comes with Slicer (3.9).
"""
