"""The page that runs an exported model in a browser: one file, without a server or a network."""
