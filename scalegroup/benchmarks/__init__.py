"""How fast the engine is: layers and training steps, timed beside dense and plain convolutions."""
