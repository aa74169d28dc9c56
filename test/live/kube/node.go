// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	terminal "k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/retry"
	"k8s.io/component-base/version"
	"k8s.io/component-helpers/apimachinery/lease"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	stream "k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	podutil "k8s.io/kubernetes/pkg/util/pod"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// node is a kubelet without containers. It registers itself, renews its lease, says of every pod bound to it that it
// runs, and answers logs, exec, attach and port-forward. Its requests have the kubelet's identity, order and shape.
type node struct {
	name   string
	client *kubernetes.Clientset
	events record.EventRecorder
	pods   int
	moved  map[string]bool // what settle has done: pod's UID and step
}

func runNode() int {
	kubeconfig := flag.String("kubeconfig", "", "credentials of system:node:NAME")
	name := flag.String("name", "node-a", "name of the node")
	port := flag.Int("port", 10250, "port on 127.0.0.1 that the API server reaches")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return complain(err)
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return complain(err)
	}
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&corev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	n := &node{name: *name, client: client, moved: map[string]bool{},
		events: broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet", Host: *name})}

	ctx := context.Background()
	if err := n.register(ctx, *port); err != nil {
		return complain(err)
	}
	go lease.NewController(clock.RealClock{}, client, n.name, 40, nil, 10*time.Second, n.name, v1.NamespaceNodeLease, n.own).Run(ctx)
	go n.watchPods(ctx)
	pair, err := tls.LoadX509KeyPair(config.CertFile, config.KeyFile)
	if err != nil {
		return complain(err)
	}
	return complain(n.serve(*port, pair))
}

func (n *node) register(ctx context.Context, port int) error {
	room := v1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"),
		"ephemeral-storage": resource.MustParse("100Gi"), "pods": resource.MustParse("110")}
	self := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{
			"kubernetes.io/hostname": n.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
		Status: v1.NodeStatus{
			Capacity: room, Allocatable: room,
			Addresses:       []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "127.0.0.1"}, {Type: v1.NodeHostName, Address: n.name}},
			DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: int32(port)}},
			NodeInfo:        v1.NodeSystemInfo{KubeletVersion: version.Get().GitVersion, OperatingSystem: "linux", Architecture: "amd64"},
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady",
				Message: "no containers run here", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}},
		},
	}
	_, err := n.client.CoreV1().Nodes().Create(ctx, self, metav1.CreateOptions{})
	if !errors.IsAlreadyExists(err) {
		return err
	}
	stored, err := n.client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{ResourceVersion: "0"})
	if err == nil {
		stored.Status = self.Status
		_, err = n.client.CoreV1().Nodes().UpdateStatus(ctx, stored, metav1.UpdateOptions{})
	}
	return err
}

// own makes the node the owner of its lease, so that deleting the node deletes the lease.
func (n *node) own(l *coordinationv1.Lease) error {
	if len(l.OwnerReferences) > 0 {
		return nil
	}
	self, err := n.client.CoreV1().Nodes().Get(context.Background(), n.name, metav1.GetOptions{})
	if err == nil {
		l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.name, UID: self.UID}}
	}
	return err
}

func (n *node) watchPods(ctx context.Context) {
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(
		func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName=" + n.name }))
	settle := func(object any) {
		if err := n.settle(ctx, object.(*v1.Pod).DeepCopy()); err != nil && !errors.IsNotFound(err) && !errors.IsConflict(err) {
			complain(err)
		}
	}
	factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: settle, UpdateFunc: func(_, now any) { settle(now) }})
	factory.Start(ctx.Done())
}

// settle moves a pod to where a kubelet would have it: gone, done, or running with all its containers. It takes each
// step once: the informer may show a pod again as it was before.
func (n *node) settle(ctx context.Context, pod *v1.Pod) error {
	step := ""
	switch {
	case pod.DeletionTimestamp != nil:
		step = "gone"
	case pod.Status.Phase == v1.PodPending:
		step = "running"
	case pod.Status.Phase == v1.PodRunning && len(pod.Spec.EphemeralContainers) > len(pod.Status.EphemeralContainerStatuses):
		step = fmt.Sprint("debugged ", len(pod.Spec.EphemeralContainers))
	}
	key := string(pod.UID) + step
	if step == "" || n.moved[key] {
		return nil
	}
	n.moved[key] = true
	switch step {
	case "gone":
		n.events.Event(pod, v1.EventTypeNormal, "Killing", "Stopping container "+pod.Spec.Containers[0].Name)
		return n.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	case "running":
		if wantsToken(pod) {
			if err := n.mountToken(ctx, pod); err != nil {
				return err
			}
		}
		for _, c := range pod.Spec.Containers {
			n.events.Event(pod, v1.EventTypeNormal, "Started", "Started container "+c.Name)
		}
	}
	_, _, _, err := podutil.PatchPodStatus(ctx, n.client, pod.Namespace, pod.Name, pod.UID, pod.Status, n.running(pod))
	return err
}

// wantsToken: whether a volume of the pod holds its service account's token. Admission adds one unless told otherwise.
func wantsToken(pod *v1.Pod) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ServiceAccountToken != nil {
				return true
			}
		}
	}
	return false
}

// mountToken asks for the token of the pod's service account, as the volume kube-api-access of every pod does. The API
// server refuses until it has seen that the pod is this node's.
func (n *node) mountToken(ctx context.Context, pod *v1.Pod) error {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: ptr.To(int64(3607)),
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID}}}
	return retry.OnError(wait.Backoff{Steps: 10, Duration: 50 * time.Millisecond, Factor: 2}, errors.IsForbidden, func() error {
		_, err := n.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request,
			metav1.CreateOptions{})
		return err
	})
}

func (n *node) running(pod *v1.Pod) v1.PodStatus {
	now, status := metav1.Now(), *pod.Status.DeepCopy()
	state := v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: now}}
	ready := v1.ConditionTrue
	status.Phase = v1.PodRunning
	if pod.Spec.RestartPolicy != v1.RestartPolicyAlways && len(pod.Spec.EphemeralContainers) == 0 {
		state = v1.ContainerState{Terminated: &v1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
		status.Phase, ready = v1.PodSucceeded, v1.ConditionFalse
	}
	if status.PodIP == "" {
		n.pods++
		status.PodIP = fmt.Sprintf("10.244.%d.%d", n.name[len(n.name)-1], n.pods%250+2)
		status.PodIPs = []v1.PodIP{{IP: status.PodIP}}
		status.HostIP, status.HostIPs = "127.0.0.1", []v1.HostIP{{IP: "127.0.0.1"}}
		status.StartTime = &now
	}
	for _, kind := range []v1.PodConditionType{v1.PodReadyToStartContainers, v1.PodInitialized, v1.PodReady, v1.ContainersReady} {
		condition := v1.PodCondition{Type: kind, Status: ready, LastTransitionTime: now}
		if kind == v1.PodInitialized || kind == v1.PodReadyToStartContainers {
			condition.Status = v1.ConditionTrue
		}
		status.Conditions = podutil.ReplaceOrAppendPodCondition(status.Conditions, &condition)
	}
	say := func(name, image string) v1.ContainerStatus {
		return v1.ContainerStatus{Name: name, Image: image, ImageID: "sha256:" + strings.Repeat("0", 64),
			ContainerID: "none://" + string(pod.UID), State: state, Ready: ready == v1.ConditionTrue, Started: ptr.To(true)}
	}
	status.ContainerStatuses, status.EphemeralContainerStatuses = nil, nil
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, say(c.Name, c.Image))
	}
	for _, c := range pod.Spec.EphemeralContainers {
		status.EphemeralContainerStatuses = append(status.EphemeralContainerStatuses, say(c.Name, c.Image))
	}
	return status
}

// serve answers the API server on the kubelet's port. Every container echoes what it is asked and sent.
func (n *node) serve(port int, pair tls.Certificate) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s: one line from a container that does not exist\n", r.PathValue("container"))
	})
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		if options, err := stream.NewOptions(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		} else {
			stream.ServeExec(w, r, echo{}, r.PathValue("pod"), "", r.PathValue("container"), r.URL.Query()["command"],
				options, time.Hour, time.Minute, remotecommand.SupportedStreamingProtocols)
		}
	})
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		if options, err := stream.NewOptions(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		} else {
			stream.ServeAttach(w, r, echo{}, r.PathValue("pod"), "", r.PathValue("container"),
				options, time.Hour, time.Minute, remotecommand.SupportedStreamingProtocols)
		}
	})
	mux.HandleFunc("/portForward/{namespace}/{pod}", func(w http.ResponseWriter, r *http.Request) {
		portforward.ServePortForward(w, r, echo{}, r.PathValue("pod"), "", &portforward.V4Options{},
			time.Hour, time.Minute, portforward.SupportedProtocols)
	})
	addStage(mux)
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), Handler: mux,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}}
	fmt.Fprintln(os.Stderr, n.name, "serves", server.Addr)
	return server.ListenAndServeTLS("", "")
}

type echo struct{}

func (echo) ExecInContainer(_ context.Context, _ string, _ types.UID, container string, command []string, in io.Reader,
	out, _ io.WriteCloser, _ bool, _ <-chan terminal.TerminalSize, _ time.Duration) error {
	if out != nil {
		fmt.Fprintf(out, "%s: %s\n", container, strings.Join(command, " "))
	}
	return copyBack(in, out)
}

func (echo) AttachContainer(_ context.Context, _ string, _ types.UID, container string, in io.Reader,
	out, _ io.WriteCloser, _ bool, _ <-chan terminal.TerminalSize) error {
	if out != nil {
		fmt.Fprintf(out, "%s: attached\n", container)
	}
	return copyBack(in, out)
}

func (echo) PortForward(_ context.Context, pod string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	stream.Read(make([]byte, 4096))
	_, err := fmt.Fprintf(stream, "HTTP/1.0 200 OK\r\n\r\n%s:%d\n", pod, port)
	return err
}

func copyBack(in io.Reader, out io.Writer) (err error) {
	if in != nil && out != nil {
		_, err = io.Copy(out, in)
	}
	return err
}
