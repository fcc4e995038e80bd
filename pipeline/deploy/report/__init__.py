"""The report's sections: what was measured, worded and laid out, with n and interval."""
