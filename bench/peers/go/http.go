// go_http W: an HTTP server on W threads that says hello, by net/http.
package main

import (
	"io"
	"net"
	"net/http"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "hello, world\n")
	})
	sayHello(number(1), listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
