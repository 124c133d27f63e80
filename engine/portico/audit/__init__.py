"""The audit trail of ATNA: which events it tells, how one is written, its spool and its way to
the repository. Touches the data folder's `audit` and one socket, in threads of its own; knows
neither messages nor the journal.
"""
