"""Does retrieval go by what should matter, or by a shortcut such as a marker in a corner?"""
