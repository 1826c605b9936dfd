// go_echo W: an echo server on W threads, a goroutine per connection.
package main

import "net"

func echo(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
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
		go echo(c)
	}
}
