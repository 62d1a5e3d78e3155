"""What every room stands on: errors, whole files, records, memory, the notice."""
