"""The study's report, section by section: `page` builds it."""
