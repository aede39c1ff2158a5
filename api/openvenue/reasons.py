"""Words an exception for a log line or an answer; never an empty text."""


def reason_of(error: BaseException) -> str:
    """Return what an exception says, with the driver's own words where a library wraps them."""
    # SQLAlchemy puts the statement around what the driver said, and the adapter around the driver.
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
