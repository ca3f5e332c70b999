{{- define "ferry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the suffixes of the other objects. */}}
{{- define "ferry.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains (include "ferry.name" .) .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "ferry.name" .) | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ferry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ferry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ferry.labels" -}}
{{ include "ferry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "ferry.serviceAccountName" -}}
{{- if .Values.deployment.serviceAccount.create }}
{{- default (include "ferry.fullname" .) .Values.deployment.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.deployment.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "ferry.image" -}}
{{- $repository := required "image.repository is required: your build of ferry's Dockerfile" .Values.image.repository }}
{{- with .Values.image.registry }}{{ . }}/{{ end }}{{ $repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "ferry.secretName" -}}
{{- .Values.secret.existingSecret | default (include "ferry.fullname" .) }}
{{- end }}

{{/* Setting and key of every secret, as JSON. */}}
{{- define "ferry.secretKeys" -}}
{{- if .Values.secret.existingSecret }}
{{- if .Values.secret.values }}
{{- fail "secret.values must be empty where secret.existingSecret is set" }}
{{- end }}
{{- .Values.secret.keys | toJson }}
{{- else }}
{{- $keys := dict }}
{{- range $name, $_ := .Values.secret.values }}{{ $_ := set $keys $name $name }}{{ end }}
{{- $keys | toJson }}
{{- end }}
{{- end }}

{{/* Whether replicas share their state: true or nothing. */}}
{{- define "ferry.shared" -}}
{{- if hasKey (include "ferry.secretKeys" . | fromJson) "FERRY_STATE_URL" }}true{{ end }}
{{- end }}

{{- define "ferry.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}true{{ end }}
{{- end }}

{{- define "ferry.scheme" -}}
{{- if .Values.tls.secretName }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* What the schema of the values cannot say. */}}
{{- define "ferry.validate" -}}
{{- range $name := list "FERRY_AUTH0_DOMAIN" "FERRY_KRATOS_ADMIN_URL" }}
{{- $_ := required (printf "ferry.settings.%s is required" $name) (get $.Values.ferry.settings $name) }}
{{- end }}
{{- if .Values.deployment.enabled }}
{{- $secrets := include "ferry.secretKeys" . | fromJson }}
{{- $_ := required "ferry.settings.FERRY_AUTH0_CLIENT_ID is required" .Values.ferry.settings.FERRY_AUTH0_CLIENT_ID }}
{{- $_ := required "FERRY_HOOK_KEYS is required, in secret.values or, with secret.existingSecret, in secret.keys" (get $secrets "FERRY_HOOK_KEYS") }}
{{- if not (or .Values.tls.secretName .Values.tls.insecure) }}
{{- $_ := required "tls.secretName is required, or tls.insecure=true where something else encrypts the traffic between pods" .Values.tls.secretName }}
{{- end }}
{{- if and (include "ferry.several" .) (not (include "ferry.shared" .)) }}
{{- fail "several replicas need Redis: FERRY_STATE_URL and FERRY_STATE_KEY in the Secret" }}
{{- end }}
{{- if and (include "ferry.shared" .) (not (hasKey $secrets "FERRY_STATE_KEY")) }}
{{- fail "FERRY_STATE_URL needs FERRY_STATE_KEY in the Secret" }}
{{- end }}
{{- if and .Values.persistence.enabled (include "ferry.several" .) }}
{{- fail "persistence is for one replica; several share Redis" }}
{{- end }}
{{- if and .Values.pdb.enabled (not (include "ferry.several" .)) }}
{{- fail "pdb needs several replicas" }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.ferry.settings.FERRY_KRATOS_PUBLIC_URL) }}
{{- fail "gateway.enabled needs ferry.settings.FERRY_KRATOS_PUBLIC_URL" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the secrets are, for serve, import and doctor. */}}
{{- define "ferry.env" -}}
{{- range $name := include "ferry.secretKeys" . | fromJson | keys | sortAlpha }}
- name: {{ $name }}_FILE
  value: /run/secrets/ferry/{{ $name }}
{{- end }}
{{- if .Values.ferry.mapper }}
- name: FERRY_MAPPER
  value: /etc/ferry/mapper/mapper.jsonnet
{{- end }}
{{- end }}

{{- define "ferry.envFrom" -}}
- configMapRef:
    name: {{ include "ferry.fullname" . }}
{{- end }}

{{- define "ferry.volumeMounts" -}}
{{- if include "ferry.secretKeys" . | fromJson }}
- name: secrets
  mountPath: /run/secrets/ferry
  readOnly: true
{{- end }}
{{- if .Values.ferry.mapper }}
- name: mapper
  mountPath: /etc/ferry/mapper
  readOnly: true
{{- end }}
{{- end }}

{{- define "ferry.volumes" -}}
{{- $secrets := include "ferry.secretKeys" . | fromJson }}
{{- if $secrets }}
- name: secrets
  secret:
    secretName: {{ include "ferry.secretName" . }}
    defaultMode: 0440
    items:
      {{- range $name := keys $secrets | sortAlpha }}
      - key: {{ get $secrets $name }}
        path: {{ $name }}
      {{- end }}
{{- end }}
{{- if .Values.ferry.mapper }}
- name: mapper
  configMap:
    name: {{ include "ferry.fullname" . }}-mapper
{{- end }}
{{- end }}

{{/* A change of these restarts pods. The mode is not among them. */}}
{{- define "ferry.checksums" -}}
checksum/ferry-config: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum }}
{{- if not .Values.secret.existingSecret }}
checksum/ferry-secrets: {{ include (print .Template.BasePath "/secrets.yaml") . | sha256sum }}
{{- end }}
{{- end }}
