# SPDX-License-Identifier: Apache-2.0
# Every kind of request that makes an unusual audit event, played by `apiserver zoo`. What an attempt comes to does not
# matter here; the audit log is the result. Needs curl.

command -v curl >/dev/null || skip "curl is not installed"
log=$dir/log/zoo.log
: >"$log"
mkdir -p "$dir/zoo"
cd "$dir/zoo" || die "no $dir/zoo"
server=$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')
read -r _ _ _ node_a_port _ <"$dir/ports"

say() { echo "== $*" >&2; }
k() { kubectl --request-timeout 20s "$@" >>"$log" 2>&1 </dev/null || true; }          # as the administrator
apply() { kubectl "${@:-apply}" -f - >>"$log" 2>&1 || true; }                          # a manifest from stdin
raw() {                                                                                # PATH CURL-OPTION...
    curl -s --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" --max-time 20 --path-as-is -g \
        "$server$1" "${@:2}" >>"$log" 2>&1 || true
    echo >>"$log"
}
bare() { curl -s --cacert "$pki/ca.crt" --max-time 20 --path-as-is -g "$server$1" "${@:2}" >>"$log" 2>&1 || true; }
json=(-H 'Content-Type: application/json')
merge=(-X PATCH -H 'Content-Type: application/merge-patch+json')
ready() { k -n "$1" wait --for condition=Ready --timeout 30s "$2"; }
# briefly COMMAND...: runs something that would not end.
briefly() { timeout 3 "$@" >>"$log" 2>&1 </dev/null || true; }
brief_kubectl() { KUBECACHEDIR=$dir/cache briefly "$hyper" kubectl --kubeconfig "$dir/kubeconfig" "$@"; }
configmaps=/api/v1/namespaces/zoo/configmaps

# ---------------------------------------------------------------------------------------------------------------------
say "namespaces, with pod security"
k create namespace zoo
k create namespace zoo-request
k label namespace zoo pod-security.kubernetes.io/warn=restricted pod-security.kubernetes.io/audit=restricted
k create namespace zoo-strict
k label namespace zoo-strict pod-security.kubernetes.io/enforce=baseline
k create namespace zoo
k create namespace 'Not_A_Name'
sleep 1

say "secrets and config maps, written in every way"
k -n zoo create secret generic plain --from-literal password=tiger-in-a-literal
k -n zoo-request create secret generic plain --from-literal password=request-level-tiger
apply <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: applied, namespace: zoo}
stringData: {password: lion-in-last-applied}
Y
apply <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: applied, namespace: zoo}
stringData: {password: second-lion-in-last-applied, user: admin}
Y
apply apply --server-side --field-manager keeper <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: served, namespace: zoo}
stringData: {password: server-side-lynx}
Y
apply apply --server-side --field-manager rival <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: served, namespace: zoo}
stringData: {password: conflicting-lynx}
Y
k -n zoo patch secret plain --type json -p '[{"op":"replace","path":"/data/password","value":"anNvbi1wYXRjaA=="},{"op":"add","path":"/metadata/labels","value":{"a":"1"}}]'
k -n zoo patch secret plain --type merge -p '{"stringData":{"password":"merge-patch-puma"}}'
k -n zoo patch secret plain -p '{"data":{"password":null,"key":"c3RyYXRlZ2lj"}}'
k -n zoo get secrets
k -n zoo get secret plain -o yaml
k get secrets --all-namespaces -o json
k -n zoo create secret tls web --cert "$pki/apiserver.crt" --key "$pki/apiserver.key"
apply <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: legacy-token, namespace: zoo, annotations: {kubernetes.io/service-account.name: default}}
type: kubernetes.io/service-account-token
Y
k -n zoo create configmap settings --from-literal colour=green
k -n zoo create configmap settings --from-literal colour=again
k -n zoo replace configmap no-such -f /dev/null
k -n zoo create configmap dry --from-literal a=b --dry-run=server
k -n zoo delete configmap settings --dry-run=server
k -n zoo label configmap settings tier=cache
k -n zoo annotate configmap settings note=$'Grüße aus Köln \u2028 日本語 😀 <b>&amp;</b> tab\there bell\ab quote" back\\slash'
k -n zoo annotate configmap settings 'config.example/bidi='$'abc\u202efdp.exe'
raw "$configmaps/settings" -X PUT "${json[@]}" -d '{"metadata":{"name":"settings","resourceVersion":"1"},"data":{"stale":"yes"}}'
raw "$configmaps" "${json[@]}" -d '{"metadata":{"generateName":"made-"},"data":{"a":"1"}}'
raw "$configmaps" "${json[@]}" -d '{"metadata":{"name":"Bad_Name"},"data":{"a":"1"}}'
raw "$configmaps" "${json[@]}" -d '{"metadata":{"name":"label","labels":{"emoji":"😀"}}}'
raw "$configmaps?fieldValidation=Strict" "${json[@]}" -d '{"metadata":{"name":"strict"},"data":{"a":"1"},"nonsense":true}'
raw "$configmaps?dryRun=All&fieldManager=me%20%26%20you" "${json[@]}" -d '{"metadata":{"name":"dry"}}'
k -n zoo delete configmap -l tier=cache
raw "$configmaps?labelSelector=app%3Dnone" -X DELETE
raw "$configmaps/no-such" -X DELETE
k -n zoo create configmap guarded
raw "$configmaps/guarded" -X DELETE "${json[@]}" -d '{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}'

say "reading: lists in pieces, tables, watches"
k get --raw "$configmaps?limit=1"
k get --raw "$configmaps?limit=1&continue=not-a-token"
raw "$configmaps?resourceVersion=99999999999&timeoutSeconds=1"
k get --raw "$configmaps?fieldSelector=metadata.name%3Dguarded"
raw "$configmaps" -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io'
raw "$configmaps" -H 'Accept: application/vnd.kubernetes.protobuf' -o /dev/null
raw "$configmaps/guarded" -H 'Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'
raw "$configmaps/guarded" -H 'Accept: image/png'
raw "$configmaps?watch=1&timeoutSeconds=1"
raw "$configmaps?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
raw "$configmaps?watch=1&resourceVersion=1&timeoutSeconds=1"
raw "/api/v1/watch/namespaces/zoo/configmaps?timeoutSeconds=1"
raw "$configmaps?watch=1" --max-time 1
k get pods --all-namespaces -o wide
k get all --all-namespaces
k get componentstatuses
k get endpoints --all-namespaces

say "pods: scheduling, and all their doors"
k -n zoo run nginx --image nginx:1.29 --env API_KEY=env-value-ocelot --labels app=nginx
ready zoo pod/nginx
k -n zoo create deployment web --image nginx:1.29 --replicas 3
k -n zoo rollout status deployment/web --timeout 30s
k -n zoo expose deployment web --port 80 --target-port 8080
k -n zoo create service nodeport door --tcp 80:8080
k -n zoo logs nginx
k -n zoo logs nginx --previous --tail 5 --timestamps
brief_kubectl -n zoo logs -f nginx
k -n zoo exec nginx -- id
k -n zoo exec nginx -- mysql --password=exec-argument-caracal -e 'select "ü" & 1 > 0'
KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false k -n zoo exec nginx -- sh -c 'echo over spdy'
echo stdin-serval | KUBECACHEDIR=$dir/cache "$hyper" kubectl --kubeconfig "$dir/kubeconfig" -n zoo exec -i nginx -- cat >>"$log" 2>&1 || true
k -n zoo exec nginx -c no-such-container -- id
k -n zoo exec no-such-pod -- id
brief_kubectl -n zoo attach nginx
KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false brief_kubectl -n zoo attach nginx
k -n zoo cp "$dir/ports" nginx:/srv/ports
forward=$("$hyper" ports 1)
(sleep 1; curl -s --max-time 2 "http://127.0.0.1:$forward/" >>"$log" 2>&1 || true) &
brief_kubectl -n zoo port-forward pod/nginx "$forward:80"
KUBECTL_PORT_FORWARD_WEBSOCKETS=false brief_kubectl -n zoo port-forward pod/nginx "$forward:80"
raw /api/v1/namespaces/zoo/pods/nginx/portforward
raw "/api/v1/namespaces/zoo/services/door:80/proxy/admin?password=proxied-jaguar"
raw /api/v1/namespaces/zoo/services/no-such/proxy/
raw /api/v1/nodes/node-a/proxy/pods
raw /api/v1/nodes/no-such-node/proxy/stats/summary -X POST
k -n zoo debug nginx --image busybox:1 --attach=false --target nginx -- sh
k debug node/node-a --image busybox:1 --attach=false
k -n zoo patch pod nginx --subresource resize -p '{"spec":{"containers":[{"name":"nginx","resources":{"requests":{"cpu":"50m"}}}]}}'
k -n zoo set image pod/nginx nginx=nginx:1.30
k -n zoo patch pod nginx -p '{"spec":{"nodeName":"node-b"}}'
k -n zoo run pending --image nginx --overrides '{"spec":{"schedulerName":"nobody"}}'
raw /api/v1/namespaces/zoo/pods/pending/proxy/
raw /api/v1/namespaces/zoo/pods/pending/binding "${json[@]}" -d '{"metadata":{"name":"pending"},"target":{"kind":"Node","name":"node-a"}}'
raw /api/v1/namespaces/zoo/pods/pending/binding "${json[@]}" -d '{"metadata":{"name":"pending"},"target":{"kind":"Node","name":"node-b"}}'
apply create <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: loud, namespace: zoo}
spec:
  hostNetwork: true
  hostPID: true
  containers: [{name: c, image: "registry.example/tools:1", command: [sleep, "9"], securityContext: {privileged: true, capabilities: {add: [SYS_ADMIN]}}}]
  volumes: [{name: root, hostPath: {path: /}}]
Y
k -n zoo-strict run loud --image nginx --overrides '{"spec":{"hostNetwork":true}}'
k -n zoo create poddisruptionbudget web --selector app=web --min-available 3
sleep 1
evict() { raw "/api/v1/namespaces/zoo/pods/$1/eviction" "${json[@]}" -d "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$1\"}}"; }
evict "$(kubectl -n zoo get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')"
evict loud
k -n zoo delete pod pending --grace-period 0 --force
k -n zoo create quota few --hard pods=1
sleep 1
k -n zoo run too-many --image nginx
k -n zoo delete quota few

say "workloads and nodes"
k -n zoo scale deployment web --replicas 2
raw /apis/apps/v1/namespaces/zoo/deployments/web/scale -X PUT "${json[@]}" -d '{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web","namespace":"zoo"},"spec":{"replicas":4}}'
k -n zoo autoscale deployment web --min 1 --max 3 --cpu-percent 80
k -n zoo rollout restart deployment web
k -n zoo set image deployment/web nginx=nginx:1.30
k -n zoo rollout undo deployment web
k -n zoo create job import --image busybox:1 -- true
k -n zoo create cronjob nightly --image busybox:1 --schedule '0 3 * * *' -- true
k -n zoo create job by-hand --from cronjob/nightly
k -n zoo patch cronjob nightly -p '{"spec":{"suspend":true}}'
apply <<'Y'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: zoo}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "registry.example/agent:1"}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: zoo}
spec: {podSelector: {}}
Y
k cordon node-b
k taint node node-b zoo=busy:NoSchedule
k label node node-b zoo=yes
k drain node-b --ignore-daemonsets --force --timeout 2s --disable-eviction=false
k taint node node-b zoo-
k uncordon node-b
k top nodes

say "who may do what: roles, impersonation, reviews"
k create clusterrole god --verb '*' --resource '*.*'
k create clusterrolebinding oops --clusterrole cluster-admin --user mallory
k -n zoo create role helper --verb get,create --resource roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io,pods,serviceaccounts
k -n zoo create rolebinding alice-helps --role helper --user alice
k -n zoo create rolebinding bob-views --clusterrole view --user bob
k create clusterrole acts-as-bob --verb impersonate --resource users --resource-name bob
k create clusterrolebinding alice-acts-as-bob --clusterrole acts-as-bob --user alice
sleep 1
issue alice /O=team/CN=alice
alice=(--cacert "$pki/ca.crt" --cert "$pki/alice.crt" --key "$pki/alice.key" -s -g --max-time 20)
as_alice() { curl "${alice[@]}" "$server$1" "${@:2}" >>"$log" 2>&1 || true; echo >>"$log"; }
as_alice /apis/rbac.authorization.k8s.io/v1/namespaces/zoo/roles "${json[@]}" -d '{"metadata":{"name":"more"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["*"]}]}'
as_alice /apis/rbac.authorization.k8s.io/v1/namespaces/zoo/rolebindings "${json[@]}" -d '{"metadata":{"name":"up"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"User","name":"alice"}]}'
as_alice /api/v1/namespaces/zoo/pods -H 'Impersonate-User: bob'
as_alice /api/v1/namespaces/zoo/secrets -H 'Impersonate-User: bob'
as_alice /api/v1/namespaces/zoo/pods -H 'Impersonate-User: kubernetes-admin'
as_alice /api/v1/namespaces/zoo/pods -H 'Impersonate-Group: system:masters'
as_alice /api/v1/namespaces/zoo/pods/nginx/exec?command=id\&stdout=1
as_alice /api/v1/nodes
as_alice /metrics
k --as bob --as-group viewers --as-uid 42 -n zoo get pods
k --as system:serviceaccount:zoo:default -n zoo get secrets
raw /api/v1/namespaces/zoo/pods -H 'Impersonate-User: bob' -H 'Impersonate-Extra-Reason: ticket 17 "now"' -H 'Impersonate-Extra-acme.com%2Fproject: Ünïcode'
k auth whoami
k auth can-i --list -n zoo
k auth can-i delete nodes --as bob
apply create <<'Y'
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
spec: {user: bob, resourceAttributes: {namespace: zoo, verb: get, resource: secrets}}
---
apiVersion: authorization.k8s.io/v1
kind: LocalSubjectAccessReview
metadata: {namespace: zoo}
spec: {user: bob, resourceAttributes: {namespace: zoo, verb: get, resource: pods}}
Y

say "tokens"
k -n zoo create serviceaccount robot
robot=$(kubectl -n zoo create token robot --duration 1h)
bound=$(kubectl -n zoo create token default --bound-object-kind Pod --bound-object-name nginx)
k -n zoo create token robot --duration 1s
k -n zoo create token no-such-account
for token in "$robot" "$bound" "${robot%????}AAAA" not-a-token; do
    bare "/api/v1/namespaces/zoo/secrets" -H "Authorization: Bearer $token"
    raw /apis/authentication.k8s.io/v1/tokenreviews "${json[@]}" -d "{\"spec\":{\"token\":\"$token\"}}"
done
bare "/api/v1/namespaces/zoo/pods?access_token=$robot"
bare /api/v1/namespaces/zoo/secrets
bare /api/v1/namespaces/zoo/pods -u admin:basic-auth-bobcat
bare /api/v1/namespaces/zoo/pods/nginx/exec?command=id -H 'Authorization: Bearer not-a-token'
bare "/api/v1/namespaces/zoo/pods?watch=1" -H 'Authorization: Bearer not-a-token'
bare / -H 'Authorization: Bearer not-a-token'
bare /healthz
bare /version
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /O=system:masters/CN=forger \
    -keyout forger.key -out forger.crt 2>>"$log"
curl -s --cacert "$pki/ca.crt" --cert forger.crt --key forger.key "$server/api/v1/nodes" >>"$log" 2>&1 || true

say "certificate signing requests"
csr() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout csr.key -out csr.csr 2>>"$log"
    apply create <<Y
{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"$1"},
 "spec":{"request":"$(base64 -w0 csr.csr)","signerName":"$3","usages":["client auth"]}}
Y
}
csr good /CN=carol kubernetes.io/kube-apiserver-client
csr bad /CN=dave kubernetes.io/kube-apiserver-client
csr worse /O=system:masters/CN=carol kubernetes.io/kube-apiserver-client
k certificate approve good
k certificate deny good
k certificate deny bad
k certificate deny no-such-request
k delete csr good bad

say "kinds of one's own, and an aggregated group"
apply create <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: animals.zoo.example}
spec:
  group: zoo.example
  scope: Namespaced
  names: {kind: Animal, plural: animals, singular: animal, shortNames: [an]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.legs, statusReplicasPath: .status.legs}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {legs: {type: integer, maximum: 8}, name: {type: string}}}
          status: {type: object, properties: {legs: {type: integer}}}
Y
k wait --for condition=Established --timeout 20s crd/animals.zoo.example
sleep 1
apply <<'Y'
apiVersion: zoo.example/v1
kind: Animal
metadata: {name: emu, namespace: zoo, annotations: {".": "dot", "a..b": "dots", "zoo.example/ключ": "x"}}
spec: {legs: 2, name: "Емu"}
---
apiVersion: zoo.example/v1
kind: Animal
metadata: {name: emu, namespace: zoo}
spec: {legs: 2, name: "Эму \u0007 bell"}
---
apiVersion: zoo.example/v1
kind: Animal
metadata: {name: squid, namespace: zoo}
spec: {legs: 10}
Y
k -n zoo patch animal emu --type merge --subresource status -p '{"status":{"legs":2}}'
k -n zoo scale animal emu --replicas 3
k -n zoo get animals
k -n zoo delete animals --all
apply create <<Y
apiVersion: v1
kind: Service
metadata: {name: stage, namespace: zoo}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: v1
kind: Service
metadata: {name: nowhere, namespace: zoo}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.stage.example}
spec: {group: stage.example, version: v1, groupPriorityMinimum: 10, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: stage, namespace: zoo, port: $node_a_port}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.dark.example}
spec: {group: dark.example, version: v1, groupPriorityMinimum: 10, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: nowhere, namespace: zoo, port: 1}}
Y
k wait --for condition=Available --timeout 20s apiservice/v1.stage.example
plays=/apis/stage.example/v1/namespaces/zoo/plays
raw $plays
raw "$plays?watch=1"
raw "$plays?break=1"
raw /apis/dark.example/v1/namespaces/zoo/plays
k delete apiservice v1.stage.example v1.dark.example

say "admission: policies, webhooks that patch, are slow, or are not there"
apply create <<'Y'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: keeper}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: ["v1"], operations: [CREATE], resources: [configmaps]}]}
  validations:
  - {expression: "!object.metadata.name.startsWith('forbidden')", message: "no <forbidden> names & such"}
  auditAnnotations: [{key: keeper-saw, valueExpression: "'name ' + object.metadata.name"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: keeper-denies}
spec: {policyName: keeper, validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: zoo}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: keeper-warns}
spec: {policyName: keeper, validationActions: [Warn, Audit], matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: zoo-request}}}}
Y
webhooks() {
    cat <<Y
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: stage}
webhooks:
- name: patches.stage.example
  clientConfig: {url: "https://127.0.0.1:$node_a_port/admit/quick", caBundle: $(base64 -w0 "$pki/ca.crt")}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: zoo}}
  sideEffects: None
  admissionReviewVersions: [v1]
- name: slow.stage.example
  clientConfig: {url: "https://127.0.0.1:$node_a_port/admit/slow", caBundle: $(base64 -w0 "$pki/ca.crt")}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [serviceaccounts]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: zoo}}
  sideEffects: None
  admissionReviewVersions: [v1]
- name: absent.stage.example
  clientConfig: {url: "https://127.0.0.1:1/admit"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [services]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: zoo}}
  failurePolicy: Ignore
  sideEffects: None
  admissionReviewVersions: [v1]
- name: needed.stage.example
  clientConfig: {url: "https://127.0.0.1:1/admit"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [limitranges]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: zoo}}
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
Y
}
webhooks | apply create
sleep 2
k -n zoo create configmap allowed-name
k -n zoo create configmap forbidden-name
k -n zoo-request create configmap forbidden-but-warned
k -n zoo create secret generic patched --from-literal password=webhook-wildcat
k -n zoo create serviceaccount slowly
k -n zoo create service clusterip unguarded --tcp 80:80
apply create <<'Y'
apiVersion: v1
kind: LimitRange
metadata: {name: limits, namespace: zoo}
spec: {limits: [{type: Container, default: {cpu: 1}}]}
Y
k delete validatingadmissionpolicybinding keeper-denies keeper-warns
k delete validatingadmissionpolicy keeper

say "too busy: a priority level with one seat, and one who sits on it"
apply create <<'Y'
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: one-seat}
spec: {type: Limited, limited: {nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: alice-waits}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {name: one-seat}
  rules: [{subjects: [{kind: User, user: {name: alice}}], resourceRules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"], namespaces: ["*"]}]}]
Y
sleep 2
as_alice /api/v1/namespaces/zoo/serviceaccounts "${json[@]}" -d '{"metadata":{"name":"sits"}}' &
sleep 0.3
as_alice /api/v1/namespaces/zoo/pods
wait
k delete flowschema alice-waits
k delete prioritylevelconfiguration one-seat
k delete mutatingwebhookconfiguration stage

say "what a client may put into the log: ids, addresses, agents, paths"
id=11111111-2222-4333-8444-555555555555
raw "$configmaps/guarded" -H "Audit-ID: $id"
raw "$configmaps/guarded" -H "Audit-ID: $id"
raw "$configmaps/no-such" -H "Audit-ID: $id"
raw "$configmaps/guarded" -H 'Audit-ID: ../../"<b>& not a uuid'
raw "$configmaps/guarded" -H "Audit-ID: $(printf 'x%.0s' {1..5000})"
raw "$configmaps/guarded" -H 'Audit-ID;'
raw "$configmaps/guarded" -H $'Audit-ID: bytes \xff\xfe and \xc3\xa4'
raw "$configmaps/guarded" -H 'X-Forwarded-For: 203.0.113.7, 198.51.100.9, not-an-address' -H 'X-Real-Ip: 203.0.113.8'
raw "$configmaps/guarded" -H "X-Forwarded-For: 2001:db8::1$(printf ', 203.0.113.%d' {1..200})"
raw "$configmaps/guarded" -A "$(printf 'agent-%.0s' {1..800})"
raw "$configmaps/guarded" -A "$(printf 'a%.0s' {1..1023})ää"
raw "$configmaps/guarded" -A $'tab\there, é, \xe2\x80\xae bidi, <script>&"\\, \xff\xfe'
raw "$configmaps/guarded" -A ''
raw "$configmaps/caf%C3%A9"
raw "$configmaps/café"
raw "$configmaps/a%00b"
raw "$configmaps/a%0Ab%1b%5B31mred"
raw "$configmaps/a%2Fb"
raw "$configmaps/%ff%fe"
raw "$configmaps/%F0%9F%98%80%E2%80%AE"
raw "$configmaps?fieldSelector=metadata.name%3D%22%3Cscript%3E%26&x=a+b;c&x=%zz"
raw "$configmaps/$(printf 'n%.0s' {1..6000})"
raw "/api/v1/namespaces/zoo/../kube-system/configmaps"
raw "//api/v1//namespaces/zoo/configmaps"
raw "$configmaps?timeout=soon"
raw "$configmaps?timeoutSeconds=soon"
raw "$configmaps?limit=many"
raw /no/such/path
raw /apis/no.such.group/v1/things
raw /api/v1/namespaces/zoo/things
raw /api/v1/namespaces/zoo/configmaps/guarded/no-such-subresource
raw "$configmaps" -X OPTIONS
raw "$configmaps" -I
raw "$configmaps" -X PUT "${json[@]}" -d '{}'
raw "$configmaps" -X BREW
raw "$configmaps/guarded" -X TRACE
raw '/debug/pprof/profile?seconds=1' -o /dev/null
raw /metrics -o /dev/null
raw /openapi/v3 -o /dev/null
issue odd $'/O=line one\nline two/CN=J\xc3\xb6rg \xe2\x80\xaegnp.exe <admin>'
curl -s --cacert "$pki/ca.crt" --cert "$pki/odd.crt" --key "$pki/odd.key" "$server$configmaps" >>"$log" 2>&1 || true

say "bodies that are not what they should be"
raw "$configmaps" "${json[@]}" -d '{"metadata":'
raw "$configmaps" "${json[@]}" -d ''
raw "$configmaps" "${json[@]}" -d '[1,2]'
raw "$configmaps" "${json[@]}" -d '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"wrong-kind"}}'
raw "$configmaps" "${json[@]}" -d $'{"metadata":{"name":"bytes"},"data":{"a":"\xff\xfe"}}'
raw "$configmaps" "${json[@]}" -d '{"metadata":{"name":"escapes"},"data":{"a":"\u0000\u0008\u000c\u001b[31m\u2028\ud800 \/"}}'
raw "$configmaps" "${json[@]}" -d '{"metadata":{"name":"twice"},"data":{"a":"1"},"data":{"b":"2"}}'
raw "$configmaps" -H 'Content-Type: text/plain' -d 'hello'
raw "$configmaps" -H 'Content-Type: application/yaml' -d $'metadata: {name: from-yaml}\ndata: {a: "1"}'
raw "$configmaps/guarded" "${merge[@]}" -d '{"data":'
raw "$configmaps/guarded" "${merge[@]}" -d 'data: {yaml: "not json"}'
raw "$configmaps/guarded" "${merge[@]}" -d $'{"data":{"a":"\xff\xfe"}}'
raw "$configmaps/guarded" "${merge[@]}" -d '{"data":{"twice":"1","twice":"2"},"x":1.50E+2,"y":12345678901234567890,"z":"\ud800"}'
raw "$configmaps/guarded" "${merge[@]}" -d $'{\n\t"data" : { "spaced" :  "out" }\r\n}'
raw "$configmaps/guarded" "${merge[@]}" -d "$(printf '{"a":%.0s' {1..200})1$(printf '}%.0s' {1..200})"
raw "$configmaps/guarded" -X PATCH -H 'Content-Type: application/json-patch+json' -d '[{"op":"add","path":"/data","value":{"n":"1"}},{"op":"test","path":"/data/n","value":2}]'
raw "$configmaps/guarded" -X PATCH -H 'Content-Type: application/json-patch+json' -d '{"op":"add"}'
raw "$configmaps/guarded" -X PATCH "${json[@]}" -d '{}'
raw "$configmaps/guarded?fieldManager=yaml&force=true" -X PATCH -H 'Content-Type: application/apply-patch+yaml' -d $'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: guarded}\ndata: {by: yaml}\n'
raw "$configmaps/guarded?fieldManager=json&force=true" -X PATCH -H 'Content-Type: application/apply-patch+yaml' -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"guarded"},"data":{"by":"json"}}'
raw "$configmaps/created-by-apply?fieldManager=json&force=true" -X PATCH -H 'Content-Type: application/apply-patch+yaml' -d '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"created-by-apply"},"data":{"by":"json"}}'

say "sizes: 64 KiB, 300 KiB, 900 KiB, and more than is allowed"
for size in 65536 307200 921600 1200000 3300000; do
    { printf '{"metadata":{"name":"size-%d"},"data":{"a":"' $size
      head -c "$size" /dev/zero | tr '\0' 'x'
      printf '"}}'; } >big.json
    raw "$configmaps" "${json[@]}" --data-binary @big.json -o /dev/null
done
rm big.json

say "the end: a collection, a namespace that will not go, all that is left"
k -n zoo delete configmaps --all
k -n zoo patch secret plain --type merge -p '{"metadata":{"finalizers":["zoo.example/wait"]}}'
k -n zoo delete secret plain --wait=false
k delete namespace zoo --wait=false
sleep 2
k -n zoo create configmap too-late
k -n zoo patch secret plain --type merge -p '{"metadata":{"finalizers":null}}'
k delete crd animals.zoo.example
k delete clusterrole god acts-as-bob
k delete clusterrolebinding oops alice-acts-as-bob
k delete namespace zoo zoo-request zoo-strict --wait --timeout 60s
echo "zoo: played in $SECONDS s; what the API server answered is in $log"
