"""Describes an exception for a log line or an answer; never with an empty text."""


def reason_of(error: BaseException) -> str:
    """Return an exception's message: the driver's own, if a library wraps it."""
    # SQLAlchemy adds the statement to the driver's message, and its adapter wraps the driver's
    # error.
    orig = getattr(error, "orig", None)
    if isinstance(orig, BaseException):
        error = orig.__cause__ or orig
    name = type(error).__name__
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    text = " ".join(str(error).split())
    if " " in text:
        return text
    return f"{name}: {text}" if text else name
