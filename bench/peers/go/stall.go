// go_stall W: the server that bench/stall_load.c measures, on W threads, a goroutine per connection.
//
// bench/stall.h says what a message is. There is nothing to offload to: whoever computes is interrupted.
package main

import (
	"encoding/binary"
	"io"
	"net"
)

func compute(turns uint64) uint64 {
	x := uint64(88172645463325252)
	for i := uint64(0); i < turns; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

func answer(c net.Conn) {
	defer c.Close()
	message := make([]byte, 64)
	for {
		if _, err := io.ReadFull(c, message); err != nil {
			return
		}
		if turns := binary.LittleEndian.Uint64(message); turns > 0 {
			binary.LittleEndian.PutUint64(message[8:], compute(turns))
		}
		if _, err := c.Write(message); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	sayHello(number(1), listener.Addr().(*net.TCPAddr).Port)
	for {
		c, err := listener.Accept() // sets TCP_NODELAY
		if err != nil {
			panic(err)
		}
		go answer(c)
	}
}
