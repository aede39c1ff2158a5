"""Ways in which a request to the engine can end without an answer, and its fate in each."""


class EngineError(Exception):
    """Base of the three; `str()` is a sentence for the client."""


class EngineUnavailable(EngineError):
    """There is no connection to the engine. The request was not sent: nothing happened."""


class EngineBusy(EngineError):
    """A bound on requests in flight is reached. The request was not sent: nothing happened."""


class FateUnknown(EngineError):
    """The request was sent and no reply came: the engine may have executed it or not."""
