// go_skynet W N: a tree of goroutines with N leaves on W threads, results by channels, then by a sync.WaitGroup in each
// fork; milliseconds and the greatest memory of this process in MiB, for each.
package main

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func node(to chan uint64, first, leaves uint64) {
	if leaves == 1 {
		to <- first
		return
	}
	c := make(chan uint64, 10)
	for i := uint64(0); i < 10; i++ {
		go node(c, first+i*(leaves/10), leaves/10)
	}
	sum := uint64(0)
	for i := 0; i < 10; i++ {
		sum += <-c
	}
	to <- sum
}

func awaited(done *sync.WaitGroup, sum *uint64, first, leaves uint64) {
	defer done.Done()
	if leaves == 1 {
		*sum = first
		return
	}
	var branches sync.WaitGroup
	var part [10]uint64
	branches.Add(len(part))
	for i := range part {
		go awaited(&branches, &part[i], first+uint64(i)*(leaves/10), leaves/10)
	}
	branches.Wait()
	for _, v := range part {
		*sum += v
	}
}

func byChannels(leaves uint64) uint64 {
	c := make(chan uint64, 1)
	go node(c, 0, leaves)
	return <-c
}

func byAwait(leaves uint64) uint64 {
	var done sync.WaitGroup
	var sum uint64
	done.Add(1)
	go awaited(&done, &sum, 0, leaves)
	done.Wait()
	return sum
}

// measure one tree: milliseconds, and what memory it took at most.
func measure(tree func(uint64) uint64, leaves uint64) []float64 {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		panic(err)
	}
	start := time.Now()
	if tree(leaves) != leaves*(leaves-1)/2 {
		panic("a wrong sum")
	}
	return []float64{float64(time.Since(start).Nanoseconds()) / 1e6, peak()}
}

// peak is VmHWM in MiB.
func peak() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return kib / 1024
		}
	}
	panic("no VmHWM")
}

func main() {
	leaves := uint64(number(2))
	sayHello(number(1), 0)
	rounds(func() []float64 { return append(measure(byChannels, leaves), measure(byAwait, leaves)...) })
}
