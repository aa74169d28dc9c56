// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
)

// addStage puts beside a node's paths what an API server talks to besides nodes: a mutating admission webhook, and an
// aggregated API group whose answers break off.
func addStage(mux *http.ServeMux) {
	mux.HandleFunc("/admit/{speed}", func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "no admission review", http.StatusBadRequest)
			return
		}
		if r.PathValue("speed") == "slow" {
			time.Sleep(700 * time.Millisecond)
		}
		kind := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, PatchType: &kind,
			Patch:            []byte(`[{"op":"add","path":"/metadata/annotations","value":{"stage":"was here"}}]`),
			AuditAnnotations: map[string]string{"stage": "seen"}}
		json.NewEncoder(w).Encode(review)
	})
	const group = "/apis/stage.example/v1"
	reply := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(body))
		}
	}
	mux.HandleFunc(group, reply(`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"stage.example/v1","resources":[`+
		`{"name":"plays","singularName":"play","namespaced":true,"kind":"Play","verbs":["get","list","watch"]}]}`))
	mux.HandleFunc(group+"/namespaces/{namespace}/plays", func(w http.ResponseWriter, r *http.Request) {
		reply(`{"kind":"PlayList","apiVersion":"stage.example/v1","metadata":{},"items":[]}`+"\n")(w, r)
		if r.URL.Query().Get("watch") != "" || r.URL.Query().Get("break") != "" {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	})
}
