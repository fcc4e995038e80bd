"""Where cases come from and how they are split: tables only, no pixels."""
