"""CT Loupe inside napari: a reader of every format, and a panel that enhances a scan beside the others.

The folder is not called after napari, so that nothing here can be taken for that package. napari and magicgui are
imported where they are used: the manifest ``napari.yaml`` names what napari may call.
"""
