"""What a channel or a destination decides, as functions of values: keys, answers, retries.

Pure, so that the running engine and the offline cases decide alike.
"""
