// rounds.go - what every program here shares: the protocol of bench/peer.h, and the clocks it measures with.
//
// Each NAME.go beside this file is a program of its own, go_NAME, built with this one.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// number is the i-th word after the program's name.
func number(i int) int {
	if i >= len(os.Args) {
		panic("a number is missing")
	}
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		panic(err)
	}
	return n
}

// cpuNs is what all threads of this process have used, in user and system mode.
func cpuNs() float64 {
	const clockProcessCPU = 2
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Nano())
}

// sayHello sets the number of workers and says who this is; port is 0 unless it is a server.
func sayHello(workers, port int) {
	runtime.GOMAXPROCS(workers)
	fmt.Printf("go %s %d\n", strings.TrimPrefix(runtime.Version(), "go"), port)
}

// rounds makes a round for each line that comes in, and answers with its figures.
func rounds(round func() []float64) {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var words []string
		for _, v := range round() {
			words = append(words, strconv.FormatFloat(v, 'f', 6, 64))
		}
		fmt.Println(strings.Join(words, " "))
	}
}
