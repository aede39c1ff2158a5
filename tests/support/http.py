"""httpx for servers on this machine, which speak no TLS.

Each client of httpx reads the authorities of the whole web, which takes longer than most requests
here; these share one context that trusts nobody.
"""

import ssl
from functools import partial

import httpx

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=_NOBODY)
post = partial(httpx.post, verify=_NOBODY)
request = partial(httpx.request, verify=_NOBODY)
Client = partial(httpx.Client, verify=_NOBODY)
AsyncClient = partial(httpx.AsyncClient, verify=_NOBODY)
