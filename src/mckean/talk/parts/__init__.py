"""Parts of long chapters, each with settings of its own, and the texts that encoders read."""
