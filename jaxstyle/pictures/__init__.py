"""Pictures: files read and written, colours, resampling, and how near one is to another."""
