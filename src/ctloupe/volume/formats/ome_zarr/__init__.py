"""OME-Zarr: chunked stores that are streamed, resumed and read on demand."""
