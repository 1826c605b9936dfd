// go_timers W PAIRS N MOST: what bench/timers.c has, on W threads: sets of timers, at most MOST; one started and stopped
// alone; N sleeps of 10,000 goroutines.
package main

import (
	"sync"
	"sync/atomic"
	"time"
)

const live = 10000

func draw(x *uint64) uint64 {
	*x ^= *x << 13
	*x ^= *x >> 7
	*x ^= *x << 17
	return *x
}

func nothing() {}

func each(since time.Time, n int) float64 {
	return float64(time.Since(since).Nanoseconds()) / float64(n)
}

func many(n int) []float64 {
	x := uint64(88172645463325252)
	timers := make([]*time.Timer, n)
	start := time.Now()
	for i := range timers {
		timers[i] = time.AfterFunc(time.Duration(1000+draw(&x)%60000)*time.Millisecond, nothing)
	}
	insert := each(start, n)
	start = time.Now()
	for i := range timers {
		timers[i].Stop()
	}
	stop := each(start, n)
	var left = int64(n)
	all := make(chan bool)
	first := time.Now().Add(time.Duration(20+n/500) * time.Millisecond)
	for i := range timers {
		due := first.Add(time.Duration(draw(&x) % 60000000))
		timers[i] = time.AfterFunc(time.Until(due), func() {
			if atomic.AddInt64(&left, -1) == 0 {
				all <- true
			}
		})
	}
	cpu := cpuNs()
	<-all
	return []float64{insert, stop, (cpuNs() - cpu) / float64(n)}
}

func main() {
	pairs, n, most := number(2), number(3), number(4)
	sayHello(number(1), 0)
	rounds(func() []float64 {
		var value []float64
		for _, size := range []int{1000, 30000, most} {
			value = append(value, many(size)...)
		}
		start := time.Now()
		for i := 0; i < pairs; i++ {
			time.AfterFunc(time.Duration(1000+i%1000)*time.Millisecond, nothing).Stop()
		}
		value = append(value, each(start, pairs))
		var all sync.WaitGroup
		cpu := cpuNs()
		all.Add(live)
		for i := 0; i < live; i++ {
			i := i
			go func() {
				for k := 0; k < n/live; k++ {
					time.Sleep(time.Duration(1+(i+k)%10) * time.Millisecond)
				}
				all.Done()
			}()
		}
		all.Wait()
		return append(value, (cpuNs()-cpu)/float64(n))
	})
}
