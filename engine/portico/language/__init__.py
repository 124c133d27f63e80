"""Places, conditions, templates: the language inside site files (SITE reference, section 2).

Pure: it parses texts into compiled values and evaluates them over a content view.
"""
