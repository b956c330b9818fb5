// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"ethertap/shm"
)

// A site has a stream of its own on a leaf node, and the centre one that sources it: packets are read from
// either, and while the site is alone it takes what comes.
func TestLeafNode(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	hub := serve(t, func(o *server.Options) {
		o.ServerName, o.JetStreamDomain, o.LeafNode.Host, o.LeafNode.Port = "hub", "hub", "127.0.0.1", port
	})
	leafAt := &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	site := serve(t, func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "site7", "site7"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{leafAt}}}
	})
	eventually(t, "the leaf node is connected", func() bool { return site.NumLeafNodes() == 1 })
	q, p := queue(t, shm.Options{})
	pub := publish(t, q, PublishOptions{Address: address(t, "TAPS", site), Host: "rack7"})
	js := jetStream(t, hub)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "SITE7", Sources: []*jetstream.StreamSource{{Name: "TAPS", External: &jetstream.ExternalStream{APIPrefix: "$JS.site7.API"}}},
	}); err != nil {
		t.Fatal(err)
	}
	put(t, p, "tap", 0, 100)
	eventually(t, "the site has them", func() bool { return pub.out.Status().Acknowledged == 100 })
	centre := read(t, ReadOptions{Address: address(t, "SITE7", hub), All: true})
	through := address(t, "TAPS", hub)
	through.Domain = "site7"
	asked := read(t, ReadOptions{Address: through, All: true})
	for what, r := range map[string]*reading{"the centre's stream": centre, "the site's, through the centre": asked} {
		eventually(t, what+" has them", func() bool { return r.out.count() == 100 })
		ordered(t, r.out.got())
	}
}
