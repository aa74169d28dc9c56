// SPDX-License-Identifier: Apache-2.0

// hyper is one small Kubernetes control plane: its first argument, or the name it is called by, picks the part.
//
// The parts are Kubernetes' own, linked as libraries: one binary shares their packages, so it builds and caches as
// one. Only `node` and `burst` are written here.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// parts run with os.Args as if each were its own program, which is also what their User-Agent says.
var parts = map[string]func() int{
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(manager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kubectl":                 runKubectl,
	"kubelet":                 runNode,
	"burst":                   runBurst,
	"ports":                   printFreePorts,
}

func main() {
	if parts[filepath.Base(os.Args[0])] == nil && len(os.Args) > 1 {
		os.Args = os.Args[1:]
	}
	os.Args[0] = filepath.Base(os.Args[0])
	run := parts[os.Args[0]]
	if run == nil {
		fmt.Fprintln(os.Stderr, "usage: hyper etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kubectl|burst|ports ARG...")
		os.Exit(2)
	}
	os.Exit(run())
}

func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}

// printFreePorts prints N loopback ports that nothing listens on just now.
func printFreePorts() int {
	count := 1
	if len(os.Args) > 1 {
		count, _ = strconv.Atoi(os.Args[1])
	}
	for ; count > 0; count-- {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return complain(err)
		}
		defer listener.Close()
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	}
	return 0
}

func complain(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
	return 1
}
