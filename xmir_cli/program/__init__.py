"""The engine that runs a network whole or only where an image has changed; it knows only torch."""
