"""What every wing stands on: files, tables, errors, states, jobs."""
