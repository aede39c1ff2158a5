"""The ordinary routes, by resource. The hot ones are in `openvenue.http.app`."""
