{{/*
How the chart names, labels and finds things.
*/}}

{{/* Prefix of every object's name. Short enough for the longest suffix and a pod's own. */}}
{{- define "openvenue.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a component's pods are selected by. Takes root and component; without one, all pods. */}}
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

{{/* An image's reference. Takes root and the image's values. */}}
{{- define "openvenue.image" -}}
{{- $repository := .image.repository -}}
{{- with .root.Values.image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Where clients of the engine connect to. */}}
{{- define "openvenue.engineTarget" -}}
{{ include "openvenue.fullname" . }}-engine-client:7070
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
  name: {{ include "openvenue.fullname" . }}-database
  key: url
  {{- end }}
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
