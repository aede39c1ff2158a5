"""A real single-node Kubernetes cluster on this machine, in its own namespaces, without Docker.

    make cluster-up / make cluster-down

Its processes live in their own network, mount and process namespaces (`namespaces`): the host's
ports, firewall and mounts stay as they are, and ending the namespaces' first process ends and
unmounts everything. From the host, the API server, Services and pods are reached by two routes.
"""
