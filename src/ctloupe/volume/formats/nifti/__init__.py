"""NIfTI: ``.nii`` and ``.nii.gz``."""
