"""The one kind of error that a user is meant to read."""


class StudyError(Exception):
    """Something in the study, its data or its machine that the user can mend.

    The message is one line: it names the file, the row or the key, and what to do.
    It is shown without a traceback.
    """
