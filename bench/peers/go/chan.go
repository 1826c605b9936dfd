// go_chan pingpong W N     N round trips of two goroutines on W threads, through channels of 1
// go_chan parked W N       the same, each goroutine locked to its thread and computing 100 us before it answers
// go_chan bounded W N      N words through a channel of 1,024: 1 to 1, 4 to 1, 4 to 4; nanoseconds a word
// go_chan mutex W N        N locks of a sync.Mutex: by one goroutine, by four; nanoseconds a lock
package main

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const pause = 100 * time.Microsecond

func compute(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// stay gives the caller a thread of its own, and that thread a core. It ends with the goroutine.
func stay(core uint) {
	runtime.LockOSThread()
	mask := uint64(1) << core
	_, _, err := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if err != 0 {
		panic(err)
	}
}

func serve(ping, pong chan uint64, parked bool) {
	if parked {
		stay(1)
	}
	for v := range ping {
		if parked {
			compute(pause)
		}
		pong <- v + 1
	}
	close(pong)
}

func pingPong(n uint64, parked bool) float64 {
	ping, pong := make(chan uint64, 1), make(chan uint64, 1)
	result := make(chan time.Duration)
	go serve(ping, pong, parked)
	go func() {
		if parked {
			stay(0)
		}
		start := time.Now()
		for i := uint64(0); i < n; i++ {
			if parked {
				compute(pause)
			}
			ping <- i
			if <-pong != i+1 {
				panic("a wrong answer")
			}
		}
		result <- time.Since(start)
	}()
	spent := <-result
	close(ping)
	<-pong
	if parked {
		spent -= 2 * pause * time.Duration(n)
	}
	return float64(spent.Nanoseconds()) / float64(n)
}

func transfer(n, producers, consumers uint64) float64 {
	c := make(chan uint64, 1024)
	parts := make(chan [2]uint64, consumers)
	var sending sync.WaitGroup
	sending.Add(int(producers))
	start := time.Now()
	for i := uint64(0); i < consumers; i++ {
		go func() {
			count, sum := uint64(0), uint64(0)
			for v := range c {
				count++
				sum += v
			}
			parts <- [2]uint64{count, sum}
		}()
	}
	for i := uint64(0); i < producers; i++ {
		first := n / producers * i
		go func() {
			for v := first; v < first+n/producers; v++ {
				c <- v
			}
			sending.Done()
		}()
	}
	sending.Wait()
	close(c)
	count, sum := uint64(0), uint64(0)
	for i := uint64(0); i < consumers; i++ {
		part := <-parts
		count += part[0]
		sum += part[1]
	}
	spent := time.Since(start)
	if count != n || sum != n*(n-1)/2 {
		panic("a wrong sum")
	}
	return float64(spent.Nanoseconds()) / float64(n)
}

//go:noinline
func step(v *int) { *v++ }

func contend(n, tasks int) float64 {
	var lock sync.Mutex
	var all sync.WaitGroup
	counter := 0
	all.Add(tasks)
	start := time.Now()
	for t := 0; t < tasks; t++ {
		go func() {
			own := 0
			for i := 0; i < n/tasks; i++ {
				lock.Lock()
				counter++
				lock.Unlock()
				for k := 0; k < 16; k++ {
					step(&own)
				}
			}
			all.Done()
		}()
	}
	all.Wait()
	spent := time.Since(start)
	if counter != n {
		panic("a wrong count")
	}
	return float64(spent.Nanoseconds()) / float64(n)
}

func alone(n int) float64 {
	var lock sync.Mutex
	start := time.Now()
	for i := 0; i < n; i++ {
		lock.Lock()
		lock.Unlock()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func main() {
	n := number(3)
	kind := os.Args[1]
	sayHello(number(2), 0)
	rounds(func() []float64 {
		switch kind {
		case "pingpong", "parked":
			return []float64{pingPong(uint64(n), kind == "parked")}
		case "bounded":
			return []float64{transfer(uint64(n), 1, 1), transfer(uint64(n), 4, 1), transfer(uint64(n), 4, 4)}
		case "mutex":
			return []float64{alone(n), contend(n, 4)}
		}
		panic("no such work")
	})
}
