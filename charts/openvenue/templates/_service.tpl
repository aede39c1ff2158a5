{{/*
A Service for the venue's clients, in front of the port `http` of a component's pods. Takes root, component
and service, the component's values for it.
*/}}
{{- define "openvenue.clientService" -}}
{{- $service := .service -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "openvenue.metadata" (dict "root" .root "component" .component "name" .component "labels" $service.labels "annotations" $service.annotations) | nindent 2 }}
spec:
  type: {{ $service.type }}
  {{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" "externalTrafficPolicy" "ipFamilyPolicy" "ipFamilies" }}
  {{- with get $service $name }}
  {{ $name }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "openvenue.selectorLabels" . | nindent 4 }}
  ports:
    - {name: http, port: {{ $service.port | int64 }}, targetPort: http{{ with $service.nodePort }}, nodePort: {{ . | int64 }}{{ end }}}
{{- end -}}
