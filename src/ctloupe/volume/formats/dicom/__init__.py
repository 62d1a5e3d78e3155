"""DICOM: CT series, checked slice by slice when read, and derived series written."""
