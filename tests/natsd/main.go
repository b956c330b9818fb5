// SPDX-License-Identifier: BSD-3-Clause

// Command natsd is a NATS server as a process, which a test can kill: natsd FILE, a configuration.
package main

import (
	"fmt"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "natsd: %v\n", err)
		os.Exit(1)
	}
}

func serve() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("one configuration, not %d", len(os.Args)-1)
	}
	o, err := server.ProcessConfigFile(os.Args[1])
	if err != nil {
		return err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return nil
}
