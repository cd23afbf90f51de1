"""The folder NAME.xmir, the engine without a server: a memory map, a table and perhaps a graph."""
