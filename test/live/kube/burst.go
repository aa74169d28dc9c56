// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// runBurst creates config maps at a steady rate for a while: a load whose audit events can be counted.
// It leaves them in the namespace; deleting that is one more event each.
func runBurst() int {
	kubeconfig := flag.String("kubeconfig", "", "credentials")
	namespace := flag.String("namespace", "default", "namespace to fill")
	rate := flag.Int("rate", 200, "creates per second")
	seconds := flag.Int("seconds", 30, "how long")
	size := flag.Int("bytes", 64, "bytes of data in each")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return complain(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return complain(err)
	}
	var done, failed atomic.Int64
	var slowest atomic.Int64
	var wait sync.WaitGroup
	start, value := time.Now(), strings.Repeat("x", *size)
	ticker := time.NewTicker(time.Second / time.Duration(*rate))
	for i := range *rate * *seconds {
		<-ticker.C
		wait.Add(1)
		go func() {
			defer wait.Done()
			began := time.Now()
			_, err := client.CoreV1().ConfigMaps(*namespace).Create(context.Background(), &v1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("burst-%d-%d", start.Unix(), i)},
				Data:       map[string]string{"value": value}}, metav1.CreateOptions{})
			if err != nil {
				failed.Add(1)
				return
			}
			done.Add(1)
			for took := int64(time.Since(began)); ; {
				if old := slowest.Load(); took <= old || slowest.CompareAndSwap(old, took) {
					break
				}
			}
		}()
	}
	wait.Wait()
	took := time.Since(start).Seconds()
	fmt.Printf("created=%d failed=%d seconds=%.2f rate=%.1f slowest_ms=%d\n", done.Load(), failed.Load(), took,
		float64(done.Load())/took, slowest.Load()/1e6)
	return 0
}
