"""One module for each framework or tool that this package fits into. Each imports it, and nothing else here does."""
