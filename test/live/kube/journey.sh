# SPDX-License-Identifier: Apache-2.0
# The tutorial's journey, played by `apiserver journey`. It ends as it began, so it can be played again.

say() { echo "== $*" >&2; }
# allowed and denied tell what must come of a command; either way the attempt is in the audit log.
allowed() { kubectl "$@" >>"$log" 2>&1 || die "journey: this should have worked: kubectl $* ($(tail -1 "$log"))"; }
denied() {
    if kubectl "$@" >>"$log" 2>&1; then die "journey: this should have been denied: kubectl $*"; fi
    grep -qE 'Forbidden|forbidden|Unauthorized|must be logged in' <(tail -3 "$log") ||
        die "journey: kubectl $*: $(tail -1 "$log")"
}
eventually() {
    local deadline=$((SECONDS + 60))
    until kubectl "$@" >>"$log" 2>&1; do
        ((SECONDS < deadline)) || die "journey: not in time: kubectl $*"
        sleep 0.2
    done
}

# user NAME: a key, a signing request that the administrator approves, and a context of kubectl, as the tutorial has it.
user() {
    local file=$dir/users/$1
    quietly openssl genrsa -out "$file.key" 2048
    quietly openssl req -new -key "$file.key" -subj "/O=developers/CN=$1" -out "$file.csr"
    kubectl apply -f - >>"$log" <<EOF
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: $1
spec:
  request: $(base64 -w0 "$file.csr")
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 86400
  usages: ["client auth"]
EOF
    allowed certificate approve "$1"
    eventually wait --for 'jsonpath={.status.certificate}' --timeout 5s "csr/$1"
    kubectl get csr "$1" -o 'jsonpath={.status.certificate}' | base64 -d >"$file.crt"
    allowed config set-credentials "$1" --client-certificate "$file.crt" --client-key "$file.key"
    allowed config set-context "$1" --cluster live --user "$1" --namespace shop
}

log=$dir/log/journey.log
mkdir -p "$dir/users"
: >"$log"

say "clean up after the last time"
allowed delete --ignore-not-found --wait namespace/shop csr/jai csr/veeru
allowed delete --ignore-not-found clusterrolebinding/nginx-scheduler clusterrolebinding/nginx-scheduler-volumes \
    serviceaccount/nginx-scheduler -n kube-system
end nginx-scheduler TERM

say "users jai and veeru: key, signing request, approval"
allowed create namespace shop
user jai
user veeru

say "permissions: jai may do everything with secrets and config maps, veeru may read one of each"
allowed -n shop create role secret-keeper --verb create,get,list,watch,update,patch,delete --resource secrets,configmaps
allowed -n shop create role secret-reader --verb get --resource secrets,configmaps --resource-name greeting --resource-name settings
allowed -n shop create rolebinding jai-keeps-secrets --role secret-keeper --user jai
allowed -n shop create rolebinding veeru-reads-secrets --role secret-reader --user veeru

say "jai works with secrets and config maps"
allowed --context jai create secret generic database --from-literal user=shop --from-literal password=correct-horse
allowed --context jai create secret generic greeting --from-literal text=hello
allowed --context jai create configmap settings --from-literal colour=green
allowed --context jai get secrets
allowed --context jai get secret database -o yaml
KUBE_EDITOR="sed -i s/$(printf hello | base64)/$(printf namaste | base64)/" allowed --context jai edit secret greeting
allowed --context jai patch configmap settings -p '{"data":{"colour":"blue"}}'
allowed --context jai get configmap settings -o yaml
allowed --context jai auth can-i create secrets

say "veeru reads what he may, and tries what he may not"
allowed --context veeru get secret greeting
allowed --context veeru get configmap settings -o json
denied --context veeru get secret database
denied --context veeru get secrets
denied --context veeru create secret generic mine --from-literal a=b
denied --context veeru delete configmap settings
denied --context veeru get pods

say "nobody gets in with a wrong token or with none"
# --kubeconfig /dev/null: without the administrator's certificate, which would speak first.
server=$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')
denied --kubeconfig /dev/null --server "$server" --certificate-authority "$pki/ca.crt" --token not-a-token get secrets -n shop
denied --kubeconfig /dev/null --server "$server" --certificate-authority "$pki/ca.crt" --username anonymous --password '' get secrets -n shop

say "an nginx pod is scheduled on a node: by the scheduler, and by a scheduler that is a service account"
allowed -n shop run nginx --image nginx:1.29
allowed -n shop wait --for condition=Ready --timeout 60s pod/nginx
allowed -n shop create deployment web --image nginx:1.29 --replicas 2
allowed -n shop rollout status --timeout 60s deployment/web
allowed -n kube-system create serviceaccount nginx-scheduler
allowed create clusterrolebinding nginx-scheduler --clusterrole system:kube-scheduler \
    --serviceaccount kube-system:nginx-scheduler
allowed create clusterrolebinding nginx-scheduler-volumes --clusterrole system:volume-scheduler \
    --serviceaccount kube-system:nginx-scheduler
token=$(kubectl -n kube-system create token nginx-scheduler)
sed "s|client-certificate:.*|token: $token}}]|" "$dir/pki/admin.kubeconfig" >"$dir/users/nginx-scheduler.kubeconfig"
cat >"$dir/users/nginx-scheduler.yaml" <<EOF
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: $dir/users/nginx-scheduler.kubeconfig}
leaderElection: {leaderElect: false}
profiles: [{schedulerName: nginx-scheduler}]
EOF
launch nginx-scheduler kube-scheduler --config "$dir/users/nginx-scheduler.yaml" --secure-port 0
allowed -n shop run nginx-by-serviceaccount --image nginx:1.29 --overrides '{"spec":{"schedulerName":"nginx-scheduler"}}'
allowed -n shop wait --for condition=Ready --timeout 60s pod/nginx-by-serviceaccount
end nginx-scheduler TERM

say "into the pod: not jai, but the administrator"
denied --context jai exec nginx -- id
allowed -n shop logs nginx
allowed -n shop exec nginx -- id

say "jai cleans up"
allowed --context jai delete secret database greeting
allowed --context jai delete configmap settings
allowed -n shop delete deployment/web pod/nginx pod/nginx-by-serviceaccount
allowed delete namespace shop
echo "journey: played in $SECONDS s; what kubectl said is in $log"
