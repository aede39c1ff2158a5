module openvenue.dev/cluster/crds

go 1.26.0

require (
	github.com/cloudnative-pg/cloudnative-pg v1.29.0
	github.com/prometheus-operator/prometheus-operator v0.92.1
	sigs.k8s.io/gateway-api v1.6.0
)
