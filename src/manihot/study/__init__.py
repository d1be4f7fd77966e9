"""From a study file to the settings of every job."""
