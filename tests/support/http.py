"""httpx for servers on this machine, which speak no TLS.

Each client of httpx reads all the web's authorities, which takes longer than most requests here.
These clients share one context that trusts no authority.
"""

import ssl
from functools import partial

import httpx

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=_NOBODY)
post = partial(httpx.post, verify=_NOBODY)
delete = partial(httpx.delete, verify=_NOBODY)
request = partial(httpx.request, verify=_NOBODY)
Client = partial(httpx.Client, verify=_NOBODY)
AsyncClient = partial(httpx.AsyncClient, verify=_NOBODY)
