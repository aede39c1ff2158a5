{{/*
The pod template of every workload. Takes
  root       the chart's context
  component  label, container name and part of the names of the two templates that fill it in:
             openvenue.<component>.container   command, ports, environment, probes, mounts
             openvenue.<component>.volumes     volumes besides /tmp
  values     the component's values: resources, environment, volumes, labels, scheduling
  image      reference of the image
and optionally first, the component of a container that runs before it, beside, the component of one that
runs with it, pullPolicy, serviceAccount (whose token is then mounted), userId, annotations,
graceSeconds, restartPolicy, tmpMedium.

Only the image may depend on the chart's or the application's version, so that a new version alone does
not restart pods.
*/}}
{{- define "openvenue.podTemplate" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $selected := include "openvenue.selectorLabels" . | fromYaml -}}
metadata:
  labels:
    {{- merge (deepCopy $selected) (dict "app.kubernetes.io/part-of" "openvenue") $values.podLabels $root.Values.commonLabels | toYaml | nindent 4 }}
  {{- with merge (dict) $values.podAnnotations (default dict .annotations) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ default (include "openvenue.serviceAccount" $root) .serviceAccount }}
  automountServiceAccountToken: {{ or (not (empty .serviceAccount)) $root.Values.serviceAccount.automount }}
  # A Service named openvenue-api would otherwise set OPENVENUE_API_PORT.
  enableServiceLinks: false
  {{- with include "openvenue.pullSecrets" $root | fromYamlArray }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
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
    {{- include "openvenue.podSecurityContext" . | nindent 4 }}
  {{- if or .first $values.initContainers }}
  initContainers:
    {{- with $values.initContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if .first }}
    - {{ include "openvenue.container" (merge (dict "component" .first) .) | nindent 6 | trim }}
    {{- end }}
  {{- end }}
  containers:
    - {{ include "openvenue.container" . | nindent 6 | trim }}
    {{- if .beside }}
    - {{ include "openvenue.container" (merge (dict "component" .beside) .) | nindent 6 | trim }}
    {{- end }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {{ with .tmpMedium }}{medium: {{ . }}, sizeLimit: 256Mi}{{ else }}{sizeLimit: 256Mi}{{ end }}
    {{- with include (printf "openvenue.%s.volumes" .component) $root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
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
  {{- with $values.topologySpreadConstraints }}
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

{{/* Secrets with the registry's credentials, each once. */}}
{{- define "openvenue.pullSecrets" -}}
{{- $found := .Values.imagePullSecrets -}}
{{- range .Values.image.pullSecrets -}}
{{- $found = append $found (dict "name" .) -}}
{{- end -}}
{{- uniq $found | toYaml -}}
{{- end -}}

{{/* Merge the fields of over into base; null removes one. Takes base and over. */}}
{{- define "openvenue.overridden" -}}
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

{{/* The pod's security context. Takes what the pod template takes. */}}
{{- define "openvenue.podSecurityContext" -}}
{{- $base := dict "runAsNonRoot" true "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $openshift := .root.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- if or (eq .root.Values.userIds "fixed") (and (eq .root.Values.userIds "auto") (not $openshift)) -}}
{{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- $_ := set $base . (default 10001 $.userId | int64) -}}
{{- end -}}
{{- end -}}
{{- include "openvenue.overridden" (dict "base" $base "over" .values.podSecurityContext) -}}
{{- end -}}

{{/* The component's container, with the changes of the values. Takes what the pod template takes. */}}
{{- define "openvenue.container" -}}
{{- $values := .values -}}
{{- $container := include (printf "openvenue.%s.container" .component) .root | fromYaml -}}
{{- $security := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
name: {{ .component }}
image: {{ .image }}
imagePullPolicy: {{ default .root.Values.image.pullPolicy .pullPolicy }}
securityContext:
  {{- include "openvenue.overridden" (dict "base" $security "over" $values.securityContext) | nindent 2 }}
{{- with pick $container "command" "args" "ports" }}
{{ toYaml . }}
{{- end }}
{{- with include "openvenue.env" (dict "own" $container.env "extra" $values.extraEnv) | fromYamlArray }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $name, $probe := pick $container "startupProbe" "readinessProbe" "livenessProbe" }}
{{ $name }}:
  {{- include "openvenue.overridden" (dict "base" $probe "over" (get $values $name | default dict)) | nindent 2 }}
{{- end }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with concat (default list $container.volumeMounts) $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
Environment variables, each name once, because server-side apply refuses a second. A variable of the
values replaces the chart's of the same name. Takes own and extra.
*/}}
{{- define "openvenue.env" -}}
{{- $byName := dict -}}
{{- $names := list -}}
{{- range concat (default list .own) .extra -}}
{{- $names = append $names .name -}}
{{- $_ := set $byName .name . -}}
{{- end -}}
{{- $found := list -}}
{{- range uniq $names -}}
{{- $found = append $found (get $byName .) -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Settings of those who take clients' requests: whom they believe. */}}
{{- define "openvenue.frontEnv" -}}
- {name: OPENVENUE_TRUSTED_PROXIES, value: {{ join "," .Values.api.trustedProxies | quote }}}
{{- with .Values.oidc }}
{{- if .issuer }}
- {name: OPENVENUE_OIDC_ISSUER, value: {{ .issuer | quote }}}
- {name: OPENVENUE_OIDC_AUDIENCE, value: {{ .audience | quote }}}
- {name: OPENVENUE_OIDC_ALGORITHMS, value: {{ join "," .algorithms | quote }}}
- {name: OPENVENUE_OIDC_ACCOUNT_CLAIM, value: {{ .accountClaim | quote }}}
- {name: OPENVENUE_OIDC_SCOPE_CLAIM, value: {{ .scopeClaim | quote }}}
- {name: OPENVENUE_OIDC_SCOPE_PREFIX, value: {{ .scopePrefix | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Settings that tell a container of the API's image where the database is. */}}
{{- define "openvenue.databaseEnv" -}}
- name: OPENVENUE_DATABASE_URL
  valueFrom:
    {{- include "openvenue.databaseUrl" . | nindent 4 }}
{{- if .Values.database.external.caSecretName }}
# Where the connection string says `sslmode` and not `sslrootcert`.
- {name: PGSSLROOTCERT, value: /etc/openvenue/database/ca.crt}
{{- end }}
{{- end -}}

{{- define "openvenue.databaseMounts" -}}
{{- if .Values.database.external.caSecretName }}
- {name: database-ca, mountPath: /etc/openvenue/database, readOnly: true}
{{- end }}
{{- end -}}

{{- define "openvenue.databaseVolumes" -}}
{{- with .Values.database.external }}
{{- if .caSecretName }}
- name: database-ca
  secret:
    secretName: {{ .caSecretName }}
    items:
      - {key: {{ .caSecretKey }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* Settings that tell a container of the API's image where the engine is. */}}
{{- define "openvenue.engineEnv" -}}
- name: OPENVENUE_ENGINE_TARGET
  value: {{ include "openvenue.engineTarget" . }}
- name: OPENVENUE_SHARD_ID
  value: {{ .Values.engine.shardId | int64 | quote }}
{{- end -}}

{{/* The tuning volume; its ConfigMap is missing until the operator writes it. */}}
{{- define "openvenue.tuningVolume" -}}
- name: tuning
  configMap:
    name: {{ include "openvenue.fullname" . }}-api-tuning
    optional: true
{{- end -}}

{{/*
A Job that runs once per content: its name ends in a hash of its spec, because a Job's pods cannot be
changed. An upgrade that changes nothing in it leaves it alone; a rollback finds it or makes it again.
Takes root, component, spec and optionally attempt, which runs the same spec again.
*/}}
{{- define "openvenue.job" -}}
{{- $attempt := default 1 .attempt | int64 -}}
{{- $content := ternary .spec (printf "%s\n%d" .spec $attempt) (eq $attempt 1) -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "openvenue.metadata" (set . "name" (printf "%s-%s" .component ($content | sha256sum | trunc 10))) | nindent 2 }}
spec:
  {{- .spec | nindent 2 }}
{{- end -}}
