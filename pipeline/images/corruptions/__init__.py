"""What goes wrong between skin and file, as pure operations on pixels, at five severities."""
