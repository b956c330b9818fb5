// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The Vim syntax file, in Vim, on a source with one of everything. Vim is not needed
// to build or run anything, so the test is for machines that have it.
func TestVimSyntax(t *testing.T) {
	vim, err := exec.LookPath("vim")
	if err != nil {
		t.Skip("no vim on this machine")
	}
	files, err := filepath.Abs("../docs/editors/vim")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := "# note\n: square ( n - n ) dup * ;\n3 square . \"a dup \\n\" type\n1 if 00:23:7d:86:71:ff tap.hash.insert then\n0x88cc fe80::1 dup. -rot str->mac_t\n" +
		": f ( a -- b) 1+ ; \\ note\n5 value five $ff %101 'a' $g\n.\" two dup\" s\" C:\\dup\" dup .( dup ) dup\n"
	script := fmt.Sprintf(`set nocompatible
set rtp^=%s
syntax on
edit %s
let out=[]
for l in range(1,line('$'))
  let c=0
  let text=getline(l)
  for w in split(text)
    let at=stridx(text,w,c)
    call add(out, w.' '.synIDattr(synID(l,at+1,1),'name'))
    let c=at+len(w)
  endfor
endfor
call writefile(out,'%s')
qa!
`, files, filepath.Join(dir, "t.rpcl"), filepath.Join(dir, "out"))
	for name, text := range map[string]string{"t.rpcl": source, "t.vim": script} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(vim, "-es", "-N", "-u", filepath.Join(dir, "t.vim"))
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("this vim has no scripts: %v %s", err, out)
	}
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `# rpclComment
note rpclComment
: rpclDefinition
square rpclDefinition
( rpclComment
n rpclComment
- rpclComment
n rpclComment
) rpclComment
dup rpclWord
* rpclWord
; rpclControl
3 rpclNumber
square 
. rpclWord
"a rpclString
dup rpclString
\n" rpclEscape
type rpclWord
1 rpclNumber
if rpclControl
00:23:7d:86:71:ff rpclAddress
tap.hash.insert rpclWord
then rpclControl
0x88cc rpclNumber
fe80::1 rpclAddress
dup. 
-rot rpclWord
str->mac_t rpclWord
: rpclDefinition
f rpclDefinition
( rpclComment
a rpclComment
-- rpclComment
b) rpclComment
1+ rpclWord
; rpclControl
\ rpclComment
note rpclComment
5 rpclNumber
value rpclDefinition
five rpclDefinition
$ff rpclNumber
%101 rpclNumber
'a' rpclNumber
$g 
." rpclString
two rpclString
dup" rpclString
s" rpclString
C:\dup" rpclString
dup rpclWord
.( rpclString
dup rpclString
) rpclString
dup rpclWord
`
	if string(out) != want {
		t.Errorf("Vim: %s", firstDifference(string(out), want))
	}
}
