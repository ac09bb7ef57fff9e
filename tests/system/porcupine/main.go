// Reads the histories that linearizability_test left behind and has porcupine judge them.
//
//	porcupine HISTORY
//
// Prints a line for each contact whose history isn't linearizable; exit code 1 if there is one.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	get = iota
	setTitle
	remove
)

const (
	done = iota
	notFound
	preconditionFailed
	unknown
)

const checkMax = 5 * time.Minute // of one contact

type operation struct {
	Contact  string `json:"contact"`
	Called   int64  `json:"called"`
	Returned int64  `json:"returned"`
	Kind     int    `json:"kind"`
	Title    string `json:"title"`
	IfMatch  uint64 `json:"if_match"`
	Output   int    `json:"output"`
	Version  uint64 `json:"version"`
	Answered string `json:"answered"`
}

type state struct {
	exists  bool
	version uint64
	title   string
}

func step(before state, o operation) (bool, state) {
	if !before.exists {
		return o.Output == unknown || o.Output == notFound, before
	}
	if o.Output == notFound {
		return false, before
	}
	if o.IfMatch != 0 && o.IfMatch != before.version {
		return o.Output == unknown || o.Output == preconditionFailed, before
	}
	if o.Output == preconditionFailed {
		return false, before
	}
	after := before
	if o.Kind == remove {
		after.exists = false
		return true, after
	}
	if o.Kind == setTitle {
		after.version++
		after.title = o.Title
	}
	return o.Output == unknown || (o.Version == after.version && o.Answered == after.title), after
}

func read(path string) (map[string][]porcupine.Operation, int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	histories := map[string][]porcupine.Operation{}
	count := 0
	lines := bufio.NewScanner(file)
	for ; lines.Scan(); count++ {
		var one operation
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", count+1, err)
		}
		histories[one.Contact] = append(histories[one.Contact], porcupine.Operation{
			Input: one, Output: one, Call: one.Called, Return: min64(one.Returned, math.MaxInt64-1)})
	}
	return histories, count, lines.Err()
}

func min64(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "porcupine HISTORY: the file of CONTACTD_HISTORY_FILE")
		os.Exit(2)
	}
	histories, count, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	model := porcupine.Model{
		Init: func() interface{} { return state{exists: true, version: 1} },
		Step: func(before, input, _ interface{}) (bool, interface{}) {
			return step(before.(state), input.(operation))
		},
	}
	violations := 0
	for contact, history := range histories {
		if result := porcupine.CheckOperationsTimeout(model, history, checkMax); result != porcupine.Ok {
			fmt.Printf("%s: %s\n", contact, result)
			violations++
		}
	}
	fmt.Printf("porcupine: %d operations on %d contacts, %d violations\n", count, len(histories),
		violations)
	if violations > 0 {
		os.Exit(1)
	}
}
