"""One thin script per DVC stage; nothing imports them."""
