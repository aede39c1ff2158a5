module openvenue.dev/cluster/pause

go 1.26
