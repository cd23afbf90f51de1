"""The subcommands, one file each; none imports another."""
