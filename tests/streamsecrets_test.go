// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ethertap/shm"
	"ethertap/tests/netlab"
)

// authority is who signs certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key, a.file = a.sign(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes a certificate and its key into two files, FILE and FILE.key.
func (a *authority) sign(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	file := filepath.Join(a.dir, name+".pem")
	writeFile(a.t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(a.t, file+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return c, key, file
}

// operator makes what a server with JWTs needs, as lines of its configuration, and the credentials of a user.
func operator(t *testing.T) (config, creds string) {
	t.Helper()
	must := func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	pair := func(kind nkeys.PrefixByte) (nkeys.KeyPair, string) {
		t.Helper()
		p, err := nkeys.CreatePair(kind)
		if err != nil {
			t.Fatal(err)
		}
		return p, must(p.PublicKey())
	}
	operatorKey, operatorName := pair(nkeys.PrefixByteOperator)
	_, systemName := pair(nkeys.PrefixByteAccount)
	accountKey, accountName := pair(nkeys.PrefixByteAccount)
	userKey, userName := pair(nkeys.PrefixByteUser)
	o := jwt.NewOperatorClaims(operatorName)
	o.SystemAccount = systemName
	system, account := jwt.NewAccountClaims(systemName), jwt.NewAccountClaims(accountName)
	account.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	config = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n", must(o.Encode(operatorKey)),
		systemName, systemName, must(system.Encode(operatorKey)), accountName, must(account.Encode(operatorKey)))
	seed, err := userKey.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(must(jwt.NewUserClaims(userName).Encode(accountKey)), seed)
	return config, must(string(text), err)
}

// A server that wants certificates of its clients, and credentials: with them packets go to a stream and come back,
// and without one of them a line says what is missing.
func TestSecretsOfAStream(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	_, _, server := ours.sign("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	_, _, client := ours.sign("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	_, _, stranger := others.sign("stranger", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	dir := t.TempDir()
	users, text := operator(t)
	creds, config, file := filepath.Join(dir, "user.creds"), filepath.Join(dir, "nats.conf"), filepath.Join(dir, "all.pcapng")
	writeFile(t, creds, text)
	port := freePort(t)
	writeFile(t, config, fmt.Sprintf("listen: \"127.0.0.1:%d\"\nlog_file: %q\njetstream { store_dir: %q }\ntls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n%s",
		port, filepath.Join(dir, "log"), dir, server, server+".key", ours.file, users))
	netlab.StartProcess(t, exec.Command(netlab.Build(t, "./tests/natsd"), config))
	netlab.Await(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	collect, recall, address := netlab.Build(t, "./cmd/collect"), netlab.Build(t, "./cmd/recall"), fmt.Sprintf("tls://127.0.0.1:%d/TAPS", port)
	secrets := []string{"--creds", creds, "--tlsca", ours.file, "--tlscert", client, "--tlskey", client + ".key"}
	command := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(cmd.Environ(), "ETHERTAP_RUNDIR="+filepath.Join(dir, "run"), "HOME="+dir)
		return cmd
	}

	q := newTrafficQueue(t, "eth1")
	const n = 100
	p, err := q.q.NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range uint64(n) {
		frame := netlab.UDP(200, i)
		if p.Put([]shm.Record{{Timestamp: time.Now().UnixNano(), PacketID: i, Direction: shm.RX, Data: frame}}) != 1 {
			t.Fatal("no room")
		}
	}
	with := func(args ...string) []string { return append(args, secrets...) }
	for _, run := range [][]string{
		with("--noreset", "--plimit", fmt.Sprint(n), "-q", q.name, address),
		with("--noreset", "--plimit", fmt.Sprint(n), "-q", address, file),
	} {
		if out, errs, status := netlab.Run(t, command(collect, run...)); status != 0 {
			t.Fatalf("%v: status %d, %s%s", run, status, out, errs)
		}
	}
	if numbers, _ := numbersOf(t, file); len(numbers) != 1 {
		t.Errorf("%d interfaces", len(numbers))
	} else {
		for name, all := range numbers {
			if len(all) != n || !strings.HasSuffix(name, "/ethertap/eth1") {
				t.Errorf("%d of %d packets of %s", len(all), n, name)
			}
		}
	}
	if out, errs, status := netlab.Run(t, command(recall, with("--count", "udp", address)...)); status != 0 || strings.TrimSpace(out) != fmt.Sprint(n) {
		t.Errorf("recall: status %d, %q, %q", status, out, errs)
	}

	for what, c := range map[string]struct {
		secrets []string
		want    string
	}{
		"no authority":              {[]string{"--creds", creds, "--tlscert", client, "--tlskey", client + ".key"}, "the certificate of the server is not of an authority that we trust; --tlsca names one"},
		"another authority":         {[]string{"--creds", creds, "--tlsca", others.file, "--tlscert", client, "--tlskey", client + ".key"}, "the certificate of the server is not of an authority that we trust; --tlsca names one"},
		"no certificate":            {[]string{"--creds", creds, "--tlsca", ours.file}, "the server wants a certificate of us that it trusts; --tlscert and --tlskey name one"},
		"a stranger's certificate":  {[]string{"--creds", creds, "--tlsca", ours.file, "--tlscert", stranger, "--tlskey", stranger + ".key"}, "the server wants a certificate of us that it trusts; --tlscert and --tlskey name one"},
		"no credentials":            {[]string{"--tlsca", ours.file, "--tlscert", client, "--tlskey", client + ".key"}, "the server does not let us in; --creds, --nkey, or --tlscert with --tlskey say who we are"},
		"a key that is no key":      {[]string{"--creds", creds, "--tlsca", ours.file, "--tlscert", client, "--tlskey", creds}, client + " and " + creds + ": tls: failed to find any PEM data in key input"},
		"credentials that are none": {[]string{"--creds", client, "--tlsca", ours.file, "--tlscert", client, "--tlskey", client + ".key"}, client + ": these are no credentials of a user, which have a JWT and an NKEY"},
		"an authority that is none": {[]string{"--creds", creds, "--tlsca", config, "--tlscert", client, "--tlskey", client + ".key"}, config + ": there is no certificate in it (PEM)"},
	} {
		args := append([]string{"--noreset", "--plimit", "1", "-q", address, filepath.Join(dir, "none.pcapng")}, c.secrets...)
		out, errs, status := netlab.Run(t, command(collect, args...))
		if status != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "collect: "+address+": ") || !strings.HasSuffix(errs, c.want+"\n") {
			t.Errorf("%s: status %d, %q, %q", what, status, out, errs)
		}
	}
}
