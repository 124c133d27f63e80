"""The site's files as types, with line numbers. No network, no journal."""
