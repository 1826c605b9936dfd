// go_spawn W N: N trivial goroutines on W threads, in batches of 1,000 and then all at once; nanoseconds a goroutine.
package main

import (
	"sync"
	"time"
)

const batch = 1000

func burst(n int) float64 {
	var all sync.WaitGroup
	results := make([]int, n)
	start := time.Now()
	all.Add(n)
	for i := 0; i < n; i++ {
		i := i
		go func() {
			results[i] = i
			all.Done()
		}()
	}
	all.Wait()
	return float64(time.Since(start).Nanoseconds())
}

func main() {
	n := number(2)
	sayHello(number(1), 0)
	rounds(func() []float64 {
		batches := 0.0
		for i := 0; i < n/batch; i++ {
			batches += burst(batch)
		}
		return []float64{batches / float64(n), burst(n) / float64(n)}
	})
}
