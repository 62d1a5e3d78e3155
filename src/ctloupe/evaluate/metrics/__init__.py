"""One file a family of metrics: what each number is, and how it is gathered slice by slice."""
