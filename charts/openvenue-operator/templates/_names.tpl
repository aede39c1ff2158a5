{{/*
Names and labels of the chart's objects.
*/}}

{{/* Name of every object. */}}
{{- define "openvenue-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The pod's selector. */}}
{{- define "openvenue-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of an object. */}}
{{- define "openvenue-operator.labels" -}}
{{ include "openvenue-operator.selectorLabels" . }}
app.kubernetes.io/part-of: openvenue
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of an object, under their key; empty if there are none. Takes root and more. */}}
{{- define "openvenue-operator.annotations" -}}
{{- with merge (dict) (default dict .more) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The pod's ServiceAccount. */}}
{{- define "openvenue-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "openvenue-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Merge the fields of over into base; null removes one. Takes base and over. */}}
{{- define "openvenue-operator.overridden" -}}
{{- $found := deepCopy .base -}}
{{- range $name, $value := .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $found $name -}}
{{- else -}}
{{- $_ := set $found $name $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* The image's reference. */}}
{{- define "openvenue-operator.image" -}}
{{- $image := .Values.image -}}
{{- $repository := $image.repository -}}
{{- with $image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The watched namespaces, as YAML; empty if all are watched. */}}
{{- define "openvenue-operator.namespaces" -}}
{{- if not .Values.watch.clusterWide -}}
{{- default (list .Release.Namespace) .Values.watch.namespaces | toYaml -}}
{{- end -}}
{{- end -}}
