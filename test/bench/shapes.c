/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shapes - see shapes.h. Modelled on lines of a real kube-apiserver 1.34: its
 * components' users and agents, its managedFields, its escapes.
 */
#include "shapes.h"

#include <stddef.h>

#define CRED "\"extra\":{\"authentication.kubernetes.io/credential-id\":"
#define K8S  " (linux/amd64) kubernetes/f28b4c9"

static const struct shape_user apiserver = {
    "\"username\":\"system:apiserver\","
    "\"uid\":\"9df59162-c94a-4029-a882-2f44ccb9d52f\","
    "\"groups\":[\"system:authenticated\",\"system:masters\"]",
    "kube-apiserver/v1.34.0" K8S,
    "::1",
    "",
};
static const struct shape_user scheduler = {
    "\"username\":\"system:kube-scheduler\","
    "\"groups\":[\"system:authenticated\"]," CRED
    "[\"X509SHA256=e4e5cf02dd2b27b5462df4864333a627"
    "b2876d5efd26423c6163acd82b4e6fc1\"]}",
    "kube-scheduler/v1.34.0" K8S "/scheduler",
    "10.0.0.4",
    "RBAC: allowed by ClusterRoleBinding \\\"system:kube-scheduler\\\" of "
    "ClusterRole \\\"system:kube-scheduler\\\" to User "
    "\\\"system:kube-scheduler\\\"",
};
static const struct shape_user controller = {
    "\"username\":\"system:serviceaccount:kube-system:deployment-controller\","
    "\"uid\":\"3031ab57-f509-49c3-910c-8f86309d883e\","
    "\"groups\":[\"system:serviceaccounts\","
    "\"system:serviceaccounts:kube-system\",\"system:authenticated\"]," CRED
    "[\"JTI=ca872423-4172-43f1-ba3f-77fa351cdcbc\"]}",
    "kube-controller-manager/v1.34.0" K8S
    "/system:serviceaccount:kube-system:deployment-controller",
    "10.0.0.4",
    "RBAC: allowed by ClusterRoleBinding "
    "\\\"system:controller:deployment-controller\\\" of ClusterRole "
    "\\\"system:controller:deployment-controller\\\" to ServiceAccount "
    "\\\"deployment-controller/kube-system\\\"",
};
static const struct shape_user kubelet = {
    "\"username\":\"system:node:node-a\","
    "\"groups\":[\"system:nodes\",\"system:authenticated\"]," CRED
    "[\"X509SHA256=c2024f27dd199f1efca00b10272c02a6"
    "92e7e8650ee312b7a61b872d236c51c1\"]}",
    "kubelet/v1.34.0" K8S,
    "10.0.0.21",
    "",
};
static const struct shape_user admin = {
    "\"username\":\"kubernetes-admin\","
    "\"groups\":[\"system:masters\",\"system:authenticated\"]," CRED
    "[\"X509SHA256=2e38745ec2bc4462a3112bd9c6a8abf6"
    "ab1ea0d580848d52c503d3222b963122\"]}",
    "kubectl/v1.34.0" K8S,
    "192.0.2.17",
    "",
};
static const struct shape_user pod_account = {
    "\"username\":\"system:serviceaccount:%n:%a\",\"uid\":\"%o\","
    "\"groups\":[\"system:serviceaccounts\",\"system:serviceaccounts:%n\","
    "\"system:authenticated\"]," CRED
    "[\"JTI=%u\"],\"authentication.kubernetes.io/node-name\":[\"%N\"],"
    "\"authentication.kubernetes.io/pod-name\":[\"%p\"],"
    "\"authentication.kubernetes.io/pod-uid\":[\"%u\"]}",
    "%a/v2.4.1 (linux/amd64) controller-runtime \\u003c%a@shop.example\\u003e",
    "%I",
    "RBAC: allowed by RoleBinding \\\"%a/%n\\\" of Role \\\"%a\\\" to "
    "ServiceAccount \\\"%a/%n\\\"",
};

#define POD_SPEC                                                               \
    "\"spec\":{\"volumes\":[{\"name\":\"kube-api-access-d4rv9\",\"projected\"" \
    ":{\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,"     \
    "\"path\":\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\","      \
    "\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{\"downwardAPI\""  \
    ":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":"       \
    "\"v1\",\"fieldPath\":\"metadata.namespace\"}}]}}],\"defaultMode\":420}}"  \
    "],\"containers\":[{\"name\":\"%a\",\"image\":\"registry.example/%a:1.%r"  \
    "\",\"args\":[\"--config=/etc/%a.conf\",\"--match=a\\u0026b \\u003e c\"]," \
    "\"env\":[{\"name\":\"POD_IP\",\"valueFrom\":{\"fieldRef\":{"              \
    "\"apiVersion\":\"v1\",\"fieldPath\":\"status.podIP\"}}}],\"resources\":"  \
    "{\"limits\":{\"cpu\":\"500m\",\"memory\":\"256Mi\"},\"requests\":{"       \
    "\"cpu\":\"50m\",\"memory\":\"64Mi\"}},\"volumeMounts\":[{\"name\":"       \
    "\"kube-api-access-d4rv9\",\"readOnly\":true,\"mountPath\":"               \
    "\"/var/run/secrets/kubernetes.io/serviceaccount\"}],"                     \
    "\"terminationMessagePath\":\"/dev/termination-log\","                     \
    "\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":"               \
    "\"IfNotPresent\"}],\"restartPolicy\":\"Always\","                         \
    "\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\","     \
    "\"serviceAccountName\":\"%a\",\"serviceAccount\":\"%a\",\"nodeName\":"    \
    "\"%N\",\"securityContext\":{},\"schedulerName\":\"default-scheduler\","   \
    "\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\","              \
    "\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":"  \
    "300},{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":"           \
    "\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"         \
    "\"priority\":0,\"enableServiceLinks\":true,\"preemptionPolicy\":"         \
    "\"PreemptLowerPriority\"}"

#define POD_FIELDS                                                          \
    "\"managedFields\":[{\"manager\":\"kube-controller-manager\","          \
    "\"operation\":\"Update\",\"apiVersion\":\"v1\",\"time\":\"%t\","       \
    "\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{"            \
    "\"f:generateName\":{},\"f:labels\":{\".\":{},\"f:app\":{},"            \
    "\"f:pod-template-hash\":{}},\"f:ownerReferences\":{\".\":{},"          \
    "\"k:{\\\"uid\\\":\\\"%o\\\"}\":{}}},\"f:spec\":{\"f:containers\":{"    \
    "\"k:{\\\"name\\\":\\\"%a\\\"}\":{\".\":{},\"f:args\":{},\"f:env\":{"   \
    "\".\":{},\"k:{\\\"name\\\":\\\"POD_IP\\\"}\":{\".\":{},\"f:name\":{}," \
    "\"f:valueFrom\":{}}},\"f:image\":{},\"f:imagePullPolicy\":{},"         \
    "\"f:name\":{},\"f:resources\":{\".\":{},\"f:limits\":{\".\":{},"       \
    "\"f:cpu\":{},\"f:memory\":{}},\"f:requests\":{\".\":{},\"f:cpu\":{},"  \
    "\"f:memory\":{}}},\"f:terminationMessagePath\":{},"                    \
    "\"f:terminationMessagePolicy\":{}}},\"f:dnsPolicy\":{},"               \
    "\"f:enableServiceLinks\":{},\"f:restartPolicy\":{},"                   \
    "\"f:schedulerName\":{},\"f:securityContext\":{},"                      \
    "\"f:terminationGracePeriodSeconds\":{}}}}"

#define KUBELET_FIELDS                                                       \
    ",{\"manager\":\"kubelet\",\"operation\":\"Update\",\"apiVersion\":"     \
    "\"v1\",\"time\":\"%t\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{"      \
    "\"f:status\":{\"f:conditions\":{\"k:{\\\"type\\\":\\\"Ready\\\"}\":{"   \
    "\".\":{},\"f:lastProbeTime\":{},\"f:lastTransitionTime\":{},"           \
    "\"f:status\":{},\"f:type\":{}}},\"f:containerStatuses\":{},"            \
    "\"f:hostIP\":{},\"f:phase\":{},\"f:podIP\":{},\"f:podIPs\":{\".\":{},"  \
    "\"k:{\\\"ip\\\":\\\"%I\\\"}\":{\".\":{},\"f:ip\":{}}},\"f:startTime\":" \
    "{}}},\"subresource\":\"status\"}"

#define POD_META                                                              \
    "\"metadata\":{\"name\":\"%p\",\"generateName\":\"%a-%h-\","              \
    "\"namespace\":\"%n\",\"uid\":\"%u\",\"resourceVersion\":\"%r\","         \
    "\"generation\":1,\"creationTimestamp\":\"%t\",\"labels\":{\"app\":"      \
    "\"%a\",\"pod-template-hash\":\"%h\"},\"ownerReferences\":["              \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"%a-%h\"," \
    "\"uid\":\"%o\",\"controller\":true,\"blockOwnerDeletion\":true}],"

#define CONDITION(type)                                                  \
    "{\"type\":\"" type "\",\"status\":\"True\",\"lastProbeTime\":null," \
    "\"lastTransitionTime\":\"%t\"}"

#define POD_STATUS                                                                                                                                        \
    "\"status\":{\"phase\":\"Running\",\"conditions\":[" CONDITION("PodScheduled") "," CONDITION(                                                         \
        "Initialized") "," CONDITION("Ready") "," CONDITION("ContainersReady") "],"                                                                       \
                                                                               "\"hostIP\":\"10.0.0.21\",\"podIP\":\"%I\",\"podIPs\":[{\"ip\":\"%I\"}],"  \
                                                                               "\"startTime\":\"%t\",\"containerStatuses\":[{\"name\":\"%a\","            \
                                                                               "\"state\":{\"running\":{\"startedAt\":\"%t\"}},\"lastState\":{},"         \
                                                                               "\"ready\":true,\"restartCount\":0,\"image\":\"registry.example/%a:1.%r\"" \
                                                                               ",\"containerID\":\"containerd://%u\",\"started\":true}],\"qosClass\":"    \
                                                                               "\"Burstable\"}"

#define POD_REF                                                   \
    "\"resource\":\"pods\",\"namespace\":\"%n\",\"name\":\"%p\"," \
    "\"apiVersion\":\"v1\""

#define LEASE_REF                                                         \
    "\"resource\":\"leases\",\"namespace\":\"kube-node-lease\",\"name\":" \
    "\"%N\",\"apiGroup\":\"coordination.k8s.io\",\"apiVersion\":\"v1\""
#define LEASE_REF_DONE                                                    \
    "\"resource\":\"leases\",\"namespace\":\"kube-node-lease\",\"name\":" \
    "\"%N\",\"uid\":\"%o\",\"apiGroup\":\"coordination.k8s.io\","         \
    "\"apiVersion\":\"v1\",\"resourceVersion\":\"%R\""
#define LEASE_URI                                                       \
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/%N" \
    "?timeout=10s"
#define LEASE_BODY(version)                                                    \
    "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\","           \
    "\"metadata\":{\"name\":\"%N\",\"namespace\":\"kube-node-lease\",\"uid\":" \
    "\"%o\",\"resourceVersion\":\"" version "\",\"creationTimestamp\":"        \
    "\"2026-11-01T08:00:00Z\",\"ownerReferences\":[{\"apiVersion\":\"v1\","    \
    "\"kind\":\"Node\",\"name\":\"%N\",\"uid\":\"%u\"}],\"managedFields\":[{"  \
    "\"manager\":\"kubelet\",\"operation\":\"Update\",\"apiVersion\":"         \
    "\"coordination.k8s.io/v1\",\"time\":\"%t\",\"fieldsType\":\"FieldsV1\","  \
    "\"fieldsV1\":{\"f:metadata\":{\"f:ownerReferences\":{\".\":{},"           \
    "\"k:{\\\"uid\\\":\\\"%u\\\"}\":{}}},\"f:spec\":{\"f:holderIdentity\":{}," \
    "\"f:leaseDurationSeconds\":{},\"f:renewTime\":{}}}}]},\"spec\":{"         \
    "\"holderIdentity\":\"%N\",\"leaseDurationSeconds\":40,\"renewTime\":"     \
    "\"2026-11-23T17:00:16.784733Z\"}}"

#define MAP_META(fields)                                                    \
    "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":" \
    "\"%a-settings\",\"namespace\":\"%n\",\"uid\":\"%u\","                  \
    "\"resourceVersion\":\"%r\",\"creationTimestamp\":\"%t\"" fields "},"
#define MAP_FIELDS                                                            \
    ",\"managedFields\":[{\"manager\":\"%a\",\"operation\":\"Update\","       \
    "\"apiVersion\":\"v1\",\"time\":\"%t\",\"fieldsType\":\"FieldsV1\","      \
    "\"fieldsV1\":{\"f:data\":{\".\":{},\"f:leader\":{},\"f:page.html\":{}}}" \
    "}]"
#define MAP_DATA                                                              \
    "\"data\":{\"leader\":\"%p\",\"page.html\":\"\\u003chtml\\u003e\\n\\t"    \
    "\\u003ca href=\\\"/?a=1\\u0026b=%r\\\"\\u003eZürich\\u003c/a\\u003e\\n" \
    "\\u003c/html\\u003e\\n\"}}"
#define MAP_REF                                                  \
    "\"resource\":\"configmaps\",\"namespace\":\"%n\",\"name\":" \
    "\"%a-settings\",\"apiVersion\":\"v1\""
#define MAP_URI "/api/v1/namespaces/%n/configmaps/%a-settings"

#define DEPLOYMENT(version, fields)                                            \
    "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{"       \
    "\"name\":\"%a\",\"namespace\":\"%n\",\"uid\":\"%o\",\"resourceVersion\":" \
    "\"" version "\",\"generation\":2,\"creationTimestamp\":\"%t\",\"labels\"" \
    ":{\"app\":\"%a\"},\"annotations\":{"                                      \
    "\"deployment.kubernetes.io/revision\":\"1\"}" fields "},\"spec\":{"       \
    "\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":\"%a\"}},"          \
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"%a\"}},\"spec\":{"      \
    "\"containers\":[{\"name\":\"%a\",\"image\":\"registry.example/%a:1\","    \
    "\"resources\":{},\"terminationMessagePath\":\"/dev/termination-log\","    \
    "\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":"               \
    "\"IfNotPresent\"}],\"restartPolicy\":\"Always\","                         \
    "\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\","     \
    "\"securityContext\":{},\"schedulerName\":\"default-scheduler\"}},"        \
    "\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"             \
    "\"maxUnavailable\":\"25%%\",\"maxSurge\":\"25%%\"}},"                     \
    "\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600},\"status\":" \
    "{\"observedGeneration\":2,\"replicas\":3,\"updatedReplicas\":3,"          \
    "\"readyReplicas\":2,\"availableReplicas\":2,\"unavailableReplicas\":1,"   \
    "\"conditions\":[{\"type\":\"Progressing\",\"status\":\"True\","           \
    "\"lastUpdateTime\":\"%t\",\"lastTransitionTime\":\"%t\",\"reason\":"      \
    "\"ReplicaSetUpdated\",\"message\":\"ReplicaSet \\\"%a-%h\\\" is "         \
    "progressing.\"}]}}"
#define DEPLOYMENT_FIELDS                                                      \
    ",\"managedFields\":[{\"manager\":\"kube-controller-manager\","            \
    "\"operation\":\"Update\",\"apiVersion\":\"apps/v1\",\"time\":\"%t\","     \
    "\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{"               \
    "\"f:annotations\":{\".\":{},\"f:deployment.kubernetes.io/revision\":{}}}" \
    ",\"f:status\":{\"f:conditions\":{\".\":{},\"k:{\\\"type\\\":"             \
    "\\\"Progressing\\\"}\":{\".\":{},\"f:lastUpdateTime\":{},\"f:message\":"  \
    "{},\"f:reason\":{},\"f:status\":{},\"f:type\":{}}},"                      \
    "\"f:observedGeneration\":{},\"f:replicas\":{}}},\"subresource\":"         \
    "\"status\"}]"

#define META "Metadata"
#define FULL "RequestResponse"

const char *const shape_list_item =
    "{" POD_META POD_FIELDS KUBELET_FIELDS "]}," POD_SPEC "," POD_STATUS "}";

const struct shape shapes[] = {
    /* level Metadata */
    {
        .weight = 1300,
        .code = 200,
        .by = &kubelet,
        .level = META,
        .verb = "update",
        .uri = LEASE_URI,
        .ref = LEASE_REF,
        .ref_done = LEASE_REF_DONE,
    },
    {
        .weight = 900,
        .code = 200,
        .by = &pod_account,
        .level = META,
        .verb = "get",
        .uri = "/apis/coordination.k8s.io/v1/namespaces/%n/leases/%a",
        .ref = "\"resource\":\"leases\",\"namespace\":\"%n\",\"name\":\"%a\","
               "\"apiGroup\":\"coordination.k8s.io\",\"apiVersion\":\"v1\"",
    },
    {
        .weight = 700,
        .code = 200,
        .by = &apiserver,
        .level = META,
        .verb = "get",
        .uri =
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:controller:%a",
        .ref =
            "\"resource\":\"clusterroles\",\"name\":\"system:controller:%a\","
            "\"apiGroup\":\"rbac.authorization.k8s.io\",\"apiVersion\":\"v1\"",
    },
    {
        .weight = 500,
        .code = 201,
        .by = &scheduler,
        .level = META,
        .verb = "create",
        .uri = "/api/v1/namespaces/%n/events",
        .ref =
            "\"resource\":\"events\",\"namespace\":\"%n\",\"apiVersion\":\"v1\"",
        .ref_done = "\"resource\":\"events\",\"namespace\":\"%n\",\"name\":"
                    "\"%p.18eabb24046294f5\",\"apiVersion\":\"v1\"",
    },
    {
        .weight = 500,
        .flags = SHAPE_LONG_RUNNING,
        .code = 200,
        .by = &kubelet,
        .level = META,
        .verb = "watch",
        .uri =
            "/api/v1/pods?allowWatchBookmarks=true\\u0026fieldSelector="
            "spec.nodeName%%3D%N\\u0026resourceVersion=%R\\u0026timeout=6m29s\\u0026"
            "timeoutSeconds=389\\u0026watch=true",
        .ref = "\"resource\":\"pods\",\"apiVersion\":\"v1\"",
    },
    {
        .weight = 300,
        .code = 200,
        .by = &admin,
        .level = META,
        .verb = "get",
        .uri = "/readyz?timeout=20s",
    },
    {
        .weight = 200,
        .flags = SHAPE_REFUSED,
        .code = 403,
        .by = &pod_account,
        .level = META,
        .verb = "get",
        .uri = "/api/v1/namespaces/%n/secrets/%a",
        .ref = "\"resource\":\"secrets\",\"namespace\":\"%n\",\"name\":\"%a\","
               "\"apiVersion\":\"v1\"",
    },
    {
        .weight = 50,
        .flags = SHAPE_UNKNOWN,
        .code = 401,
        .by = &admin,
        .level = META,
        .verb = "list",
        .uri = "/api/v1/namespaces/%n/secrets?limit=500",
        .ref =
            "\"resource\":\"secrets\",\"namespace\":\"%n\",\"apiVersion\":\"v1\"",
    },
    /* level RequestResponse */
    {
        .weight = 1100,
        .code = 200,
        .by = &pod_account,
        .level = FULL,
        .verb = "get",
        .uri = MAP_URI,
        .ref = MAP_REF,
        .response = MAP_META(MAP_FIELDS) MAP_DATA,
    },
    {
        .weight = 650,
        .code = 201,
        .by = &scheduler,
        .level = FULL,
        .verb = "create",
        .uri = "/api/v1/namespaces/%n/pods/%p/binding",
        .ref = POD_REF ",\"subresource\":\"binding\"",
        .ref_done =
            "\"resource\":\"pods\",\"namespace\":\"%n\",\"name\":\"%p\",\"uid\":"
            "\"%u\",\"apiVersion\":\"v1\",\"subresource\":\"binding\"",
        .request =
            "{\"kind\":\"Binding\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%p\""
            ",\"namespace\":\"%n\",\"uid\":\"%u\"},\"target\":{\"kind\":\"Node\","
            "\"name\":\"%N\"}}",
        .response =
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
            "\"Success\",\"code\":201}",
    },
    {
        .weight = 1700,
        .code = 200,
        .by = &pod_account,
        .level = FULL,
        .verb = "update",
        .uri = MAP_URI "?timeout=5s",
        .ref = MAP_REF,
        .request = MAP_META(MAP_FIELDS) MAP_DATA,
        .response = MAP_META(MAP_FIELDS) MAP_DATA,
    },
    {
        .weight = 350,
        .code = 200,
        .by = &kubelet,
        .level = FULL,
        .verb = "update",
        .uri = LEASE_URI,
        .ref = LEASE_REF,
        .ref_done = LEASE_REF_DONE,
        .request = LEASE_BODY("%R"),
        .response = LEASE_BODY("%r"),
    },
    {
        .weight = 250,
        .code = 201,
        .by = &kubelet,
        .level = FULL,
        .verb = "create",
        .uri = "/api/v1/namespaces/%n/serviceaccounts/%a/token",
        .ref =
            "\"resource\":\"serviceaccounts\",\"namespace\":\"%n\",\"name\":\"%a\","
            "\"apiVersion\":\"v1\",\"subresource\":\"token\"",
        .request =
            "{\"kind\":\"TokenRequest\",\"apiVersion\":\"authentication.k8s.io/v1\","
            "\"metadata\":{},\"spec\":{\"audiences\":null,\"expirationSeconds\":3607,"
            "\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"%p"
            "\",\"uid\":\"%u\"}},\"status\":{\"token\":\"\",\"expirationTimestamp\":"
            "null}}",
        .response =
            "{\"kind\":\"TokenRequest\",\"apiVersion\":\"authentication.k8s.io/v1\","
            "\"metadata\":{\"name\":\"%a\",\"namespace\":\"%n\",\"creationTimestamp\":"
            "\"%t\"},\"spec\":{\"audiences\":[\"https://kubernetes.default.svc\"],"
            "\"expirationSeconds\":3607,\"boundObjectRef\":{\"kind\":\"Pod\","
            "\"apiVersion\":\"v1\",\"name\":\"%p\",\"uid\":\"%u\"}},\"status\":{"
            "\"token\":\"%T\",\"expirationTimestamp\":\"%t\"}}",
    },
    {
        .weight = 550,
        .code = 200,
        .by = &controller,
        .level = FULL,
        .verb = "update",
        .uri = "/apis/apps/v1/namespaces/%n/deployments/%a/status",
        .ref =
            "\"resource\":\"deployments\",\"namespace\":\"%n\",\"name\":\"%a\","
            "\"apiGroup\":\"apps\",\"apiVersion\":\"v1\",\"subresource\":\"status\"",
        .ref_done =
            "\"resource\":\"deployments\",\"namespace\":\"%n\",\"name\":\"%a\","
            "\"uid\":\"%o\",\"apiGroup\":\"apps\",\"apiVersion\":\"v1\","
            "\"resourceVersion\":\"%R\",\"subresource\":\"status\"",
        .request = DEPLOYMENT("%R", ""),
        .response = DEPLOYMENT("%r", DEPLOYMENT_FIELDS),
    },
    {
        .weight = 300,
        .code = 200,
        .by = &kubelet,
        .level = FULL,
        .verb = "patch",
        .uri = "/api/v1/namespaces/%n/pods/%p/status",
        .ref = POD_REF ",\"subresource\":\"status\"",
        .request =
            "{\"metadata\":{\"uid\":\"%u\"},\"status\":{\"$setElementOrder/conditions"
            "\":[{\"type\":\"PodScheduled\"},{\"type\":\"Initialized\"},{\"type\":"
            "\"Ready\"}],\"conditions\":[" CONDITION(
                "Ready") "],\"phase\":\"Running\""
                         ",\"podIP\":\"%I\",\"podIPs\":[{\"ip\":\"%I\"}],\"startTime\":\"%t\"}}",
        .response =
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"," POD_META POD_FIELDS
                KUBELET_FIELDS "]}," POD_SPEC "," POD_STATUS "}",
    },
    {
        .weight = 250,
        .code = 201,
        .by = &controller,
        .level = FULL,
        .verb = "create",
        .uri = "/api/v1/namespaces/%n/pods",
        .ref =
            "\"resource\":\"pods\",\"namespace\":\"%n\",\"apiVersion\":\"v1\"",
        .request =
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"generateName\":"
            "\"%a-%h-\",\"labels\":{\"app\":\"%a\"}}," POD_SPEC
            ",\"status\":{}}",
        .response =
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"," POD_META POD_FIELDS
            "]}," POD_SPEC ",\"status\":{\"phase\":\"Pending\"}}",
    },
    {
        .weight = 360,
        .code = 200,
        .min_items = 2,
        .max_items = 9,
        .by = &controller,
        .level = FULL,
        .verb = "list",
        .uri =
            "/api/v1/namespaces/%n/pods?labelSelector=app%%3D%a\\u0026limit=500",
        .ref =
            "\"resource\":\"pods\",\"namespace\":\"%n\",\"apiVersion\":\"v1\"",
        .response = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
                    "\"resourceVersion\":\"%r\"},\"items\":[%L]}",
    },
    {
        .weight = 25,
        .code = 200,
        .min_items = 10,
        .max_items = 54,
        .by = &admin,
        .level = FULL,
        .verb = "list",
        .uri = "/api/v1/pods?limit=500\\u0026timeout=20s",
        .ref = "\"resource\":\"pods\",\"apiVersion\":\"v1\"",
        .response = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
                    "\"resourceVersion\":\"%r\"},\"items\":[%L]}",
    },
    {
        .weight = 15,
        .code = 200,
        .min_items = 60,
        .max_items = 212,
        .by = &pod_account,
        .level = FULL,
        .verb = "get",
        .uri = "/api/v1/namespaces/%n/configmaps/trusted-ca-bundle",
        .ref = "\"resource\":\"configmaps\",\"namespace\":\"%n\",\"name\":"
               "\"trusted-ca-bundle\",\"apiVersion\":\"v1\"",
        .response = MAP_META(MAP_FIELDS) "\"data\":{\"ca-bundle.crt\":\"%B\"}}",
    },
};

const unsigned shapes_count = sizeof(shapes) / sizeof(shapes[0]);

/* Without managedFields, as under a policy that omits them: 2.1 KB. */
const struct shape shape_steady = {
    .weight = 1,
    .code = 200,
    .by = &pod_account,
    .level = FULL,
    .verb = "update",
    .uri = MAP_URI "?timeout=5s",
    .ref = MAP_REF,
    .request = MAP_META("") MAP_DATA,
    .response = MAP_META("") MAP_DATA,
};
