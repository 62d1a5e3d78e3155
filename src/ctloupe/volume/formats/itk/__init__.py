"""MetaImage and NRRD, through SimpleITK."""
