"""Super-resolution: pictures made larger by a small network, sharp by pixels or by what a network of features sees."""
