"""How a request to the engine can end without an answer, and what that says about its fate."""


class EngineError(Exception):
    """Base of the three; `str()` is a sentence for the client."""


class EngineUnavailable(EngineError):
    """There is no connection to the engine. The request was not sent: nothing happened."""


class EngineBusy(EngineError):
    """A bound on requests in flight is reached. The request was not sent: nothing happened."""


class FateUnknown(EngineError):
    """The request was sent and its reply did not come: it may have been carried out or not."""
