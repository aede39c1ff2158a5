{{/*
Names, labels and references that the chart's templates share.
*/}}

{{/* Prefix of every object's name before it is cut to length. */}}
{{- define "openvenue.unboundedName" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}

{{/*
Prefix of every object's name: 36 characters leave room for the longest suffix and a pod's own. A longer
name ends in a hash, so that no two releases share it. A release keeps the name without a hash that
charts until 0.1 gave it, if its journal has that name.
*/}}
{{- define "openvenue.fullname" -}}
{{- $name := include "openvenue.unboundedName" . -}}
{{- if le (len $name) 36 -}}
{{- $name | trimSuffix "-" -}}
{{- else -}}
{{- $older := $name | trunc 36 | trimSuffix "-" -}}
{{- $claims := lookup "v1" "PersistentVolumeClaim" (include "openvenue.namespace" .) "" -}}
{{- if not $claims -}}
{{- fail (printf "%s is longer than 36 characters, and only with a cluster at hand can be seen what the release is called there: set fullnameOverride, to %s if the release was installed by a chart until 0.1." $name $older) -}}
{{- end -}}
{{- $found := printf "%s-%s" ($name | trunc 27 | trimSuffix "-") ($name | sha256sum | trunc 8) -}}
{{- range $claims.items -}}
{{- $instance := dig "metadata" "labels" "app.kubernetes.io/instance" "" . -}}
{{- if and (eq .metadata.name (printf "journal-%s-engine-0" $older)) (eq $instance $.Release.Name) -}}
{{- $found = $older -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}
{{- end -}}

{{/* Namespace of all objects. */}}
{{- define "openvenue.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* Selector of a component's pods. Takes root and component; without component, all pods. */}}
{{- define "openvenue.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 40 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of an object. Takes root and component. */}}
{{- define "openvenue.labels" -}}
{{ include "openvenue.selectorLabels" . }}
app.kubernetes.io/part-of: openvenue
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
Metadata of an object. Takes root, name (the part after the prefix), its own labels and annotations, and
optionally component. The chart's labels win.
*/}}
{{- define "openvenue.metadata" -}}
name: {{ include "openvenue.fullname" .root }}{{ with .name }}-{{ . }}{{ end }}
namespace: {{ include "openvenue.namespace" .root }}
labels:
  {{- merge (include "openvenue.labels" . | fromYaml) (default dict .labels) .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image's reference. Takes root and the image's values; their registry wins. */}}
{{- define "openvenue.image" -}}
{{- $repository := .image.repository -}}
{{- with default .root.Values.image.registry .image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Address for clients of the engine. */}}
{{- define "openvenue.engineTarget" -}}
{{ include "openvenue.fullname" . }}-engine-client:7070
{{- end -}}

{{/* Address of the engine's listener for administration. */}}
{{- define "openvenue.engineAdminTarget" -}}
{{ include "openvenue.fullname" . }}-engine-client:7072
{{- end -}}

{{/* Listening address and port. Takes root and port. */}}
{{- define "openvenue.listen" -}}
{{- $address := .root.Values.listenAddress -}}
{{ ternary (printf "[%s]" $address) $address (contains ":" $address) }}:{{ .port }}
{{- end -}}

{{/* Secret with the tokens of administration. */}}
{{- define "openvenue.adminSecret" -}}
{{- default (printf "%s-admin" (include "openvenue.fullname" .)) .Values.admin.existingSecret -}}
{{- end -}}

{{/* Secret with the bundled database's passwords. */}}
{{- define "openvenue.bundledSecret" -}}
{{- default (printf "%s-database" (include "openvenue.fullname" .)) .Values.database.bundled.existingSecret -}}
{{- end -}}

{{/* Names of the Secrets that the chart makes, as a JSON list. */}}
{{- define "openvenue.madeSecrets" -}}
{{- $names := list -}}
{{- if not .Values.admin.existingSecret -}}
{{- $names = append $names (include "openvenue.adminSecret" .) -}}
{{- end -}}
{{- if and (eq .Values.database.mode "bundled") (not .Values.database.bundled.existingSecret) -}}
{{- $names = append $names (include "openvenue.bundledSecret" .) -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* ServiceAccount of the pods. */}}
{{- define "openvenue.serviceAccount" -}}
{{- $made := ternary (include "openvenue.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{/* A reference to the Secret's key that holds the connection string. */}}
{{- define "openvenue.databaseUrl" -}}
{{- $database := .Values.database -}}
secretKeyRef:
  {{- if eq $database.mode "external" }}
  name: {{ $database.external.secretName }}
  key: {{ $database.external.secretKey }}
  {{- else if eq $database.mode "cloudnative-pg" }}
  name: {{ include "openvenue.fullname" . }}-database-app
  key: uri
  {{- else }}
  name: {{ include "openvenue.bundledSecret" . }}
  key: url
  {{- end }}
{{- end -}}

{{/* Bytes of a quantity such as 8Gi, as a whole number. */}}
{{- define "openvenue.bytes" -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- $suffix := regexFind "[A-Za-z]*$" . -}}
{{- mulf (trimSuffix $suffix . | float64) (get $factors $suffix | float64) | int64 -}}
{{- end -}}

{{/*
Paths of the streams. Every other path is the API's: /v2/orders is no stream, and /v2/iex no resource.
*/}}
{{- define "openvenue.streamPaths" -}}
- /stream
{{- range list "iex" "sip" "delayed_sip" "otc" "boats" "overnight" "test" }}
- /v2/{{ . }}
{{- end }}
{{- range list "us" "us-1" "us-2" "eu-1" "bs-1" }}
- /v1beta3/crypto/{{ . }}
{{- end }}
{{- end -}}

{{/*
Connections that all pods of the streams may hold: each one, and a second while it loads; in a rollout
there is one pod more.
*/}}
{{- define "openvenue.streamConnections" -}}
{{- ternary (mul 2 (add .Values.stream.replicas 1)) 0 .Values.stream.enabled -}}
{{- end -}}

{{/* Workers that a pod of the API may have. */}}
{{- define "openvenue.workersMax" -}}
{{- ternary .Values.venue.api.workersPerPod.max .Values.api.start.workers .Values.venue.enabled | int -}}
{{- end -}}

{{/*
Seconds that an API pod gets to stop: the notice, the drain and the requests under way, as the
workers keep them (`Settings.stop_timeout_s`), what the parent gives a worker beyond that, and a
margin.
*/}}
{{- define "openvenue.apiGraceSeconds" -}}
{{- $reply := mulf 1.1 .Values.api.engineReplyTimeoutSeconds | addf 2.0 | ceil | int -}}
{{- add .Values.api.shutdown.noticeSeconds .Values.api.shutdown.drainSeconds $reply 5 3 -}}
{{- end -}}
