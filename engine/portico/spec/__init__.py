"""The site's files as types, with line numbers. May read files of the site; no network, no journal."""
