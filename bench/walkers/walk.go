// A walk with Go's own client and decoder. See walk.lua for what it reads and writes.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type run struct {
	ID       string `json:"id"`
	Workflow struct {
		WorkflowID string `json:"workflow_id"`
		VersionID  string `json:"version_id"`
	} `json:"workflow"`
	Trigger struct {
		Type *string `json:"type"`
	} `json:"trigger"`
	Lifecycle struct {
		Status string `json:"status"`
	} `json:"lifecycle"`
	Timing struct {
		CreatedAt   *string `json:"created_at"`
		StartedAt   *string `json:"started_at"`
		CompletedAt *string `json:"completed_at"`
		DurationMs  *int64  `json:"duration_ms"`
	} `json:"timing"`
	ExperimentID           string   `json:"experiment_id"`
	BlockID                string   `json:"block_id"`
	BlockKind              string   `json:"block_kind"`
	NConsensus             int      `json:"n_consensus"`
	TotalDocumentCount     int      `json:"total_document_count"`
	CompletedDocumentCount int      `json:"completed_document_count"`
	ErrorCount             int      `json:"error_count"`
	Score                  *float64 `json:"score"`
	DefinitionFingerprint  string   `json:"definition_fingerprint"`
	DocumentsFingerprint   string   `json:"documents_fingerprint"`
}

type page struct {
	Data         []run `json:"data"`
	ListMetadata struct {
		After *string `json:"after"`
	} `json:"list_metadata"`
}

func work(seconds float64) {
	for ends := time.Now().Add(time.Duration(seconds * 1e9)); time.Now().Before(ends); {
	}
}

func walk(base string, seconds float64) (int, string) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	count, last, after := 0, "", ""
	for {
		url := base + "/v1/workflows/experiments/runs?limit=100"
		if after != "" {
			url += "&after=" + after
		}
		request, err := http.NewRequest("GET", url, nil)
		if err != nil {
			panic(err)
		}
		request.Header.Set("Api-Key", "bench")
		response, err := client.Do(request)
		if err != nil {
			panic(err)
		}
		var list page
		if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
			panic(err)
		}
		// To its end, or the connection is not used again.
		response.Body.Read(make([]byte, 1))
		response.Body.Close()
		for i := range list.Data {
			count++
			last = list.Data[i].ID
		}
		if seconds > 0 {
			work(seconds)
		}
		if list.ListMetadata.After == nil || *list.ListMetadata.After == "" {
			return count, last
		}
		after = *list.ListMetadata.After
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		seconds, _ := strconv.ParseFloat(words[1], 64)
		count, last := walk(words[0], seconds)
		fmt.Printf("%d\t%s\n", count, last)
	}
}
