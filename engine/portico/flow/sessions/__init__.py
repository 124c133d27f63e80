"""Agents at work: a committed Signal handed out in order, run, asked for, concluded."""
