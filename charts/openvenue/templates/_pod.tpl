{{/*
The one pod template of every workload. Takes
  root       the chart's context
  component  label, container name and part of the names of the two templates that fill it in:
             openvenue.<component>.container   command, ports, environment, probes, mounts
             openvenue.<component>.volumes     volumes besides /tmp
  values     the component's values: resources, extraEnv, labels, scheduling
  image      reference of the image
and, where it differs, pullPolicy, serviceAccount (whose token is then mounted), userId,
graceSeconds, restartPolicy, tmpMedium, topologySpreadConstraints.

Nothing here depends on the chart's or the application's version but the image: what does not
change a pod must not restart it.
*/}}
{{- define "openvenue.podTemplate" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $selected := include "openvenue.selectorLabels" . | fromYaml -}}
{{- $userId := default 10001 .userId | int -}}
metadata:
  labels:
    {{- merge (deepCopy $selected) (dict "app.kubernetes.io/part-of" "openvenue") $values.podLabels | toYaml | nindent 4 }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ default (include "openvenue.fullname" $root) .serviceAccount }}
  automountServiceAccountToken: {{ not (empty .serviceAccount) }}
  # A Service named openvenue-api would otherwise set OPENVENUE_API_PORT.
  enableServiceLinks: false
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .graceSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ $userId }}
    runAsGroup: {{ $userId }}
    fsGroup: {{ $userId }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: {{ .component }}
      image: {{ .image }}
      imagePullPolicy: {{ default $root.Values.image.pullPolicy .pullPolicy }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- include (printf "openvenue.%s.container" .component) $root | trim | nindent 6 }}
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  volumes:
    - name: tmp
      emptyDir: {{ with .tmpMedium }}{medium: {{ . }}, sizeLimit: 256Mi}{{ else }}{sizeLimit: 256Mi}{{ end }}
    {{- with include (printf "openvenue.%s.volumes" .component) $root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $spread := . }}
    {{- if not (hasKey . "labelSelector") }}
    {{- $spread = set (deepCopy .) "labelSelector" (dict "matchLabels" $selected) }}
    {{- end }}
    - {{ toYaml $spread | nindent 6 | trim }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* What every container of the API's image that reaches the database has in its environment. */}}
{{- define "openvenue.databaseEnv" -}}
- name: OPENVENUE_DATABASE_URL
  valueFrom:
    {{- include "openvenue.databaseUrl" . | nindent 4 }}
{{- end -}}

{{/* What tells a container of the API's image where the engine is. */}}
{{- define "openvenue.engineEnv" -}}
- name: OPENVENUE_ENGINE_TARGET
  value: {{ include "openvenue.engineTarget" . }}
- name: OPENVENUE_SHARD_ID
  value: {{ .Values.engine.shardId | int64 | quote }}
{{- end -}}

{{/* The tuning, which the operator writes: not there until it does. */}}
{{- define "openvenue.tuningVolume" -}}
- name: tuning
  configMap:
    name: {{ include "openvenue.fullname" . }}-api-tuning
    optional: true
{{- end -}}

{{/*
A Job that runs once for each content: its name ends in a hash of its spec, since a Job's pods
cannot be changed. An upgrade that changes nothing in it leaves it alone; a rollback finds it, or
makes it again. Takes root, component and spec.
*/}}
{{- define "openvenue.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "openvenue.fullname" .root }}-{{ .component }}-{{ .spec | sha256sum | trunc 10 }}
  labels:
    {{- include "openvenue.labels" . | nindent 4 }}
spec:
  {{- .spec | nindent 2 }}
{{- end -}}
