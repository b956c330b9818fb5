module ethertap/tests/bench/vm

go 1.26.0

require (
	ethertap v0.0.0
	github.com/d5/tengo/v2 v2.17.0
	github.com/yuin/gopher-lua v1.1.2
	go.starlark.net v0.0.0-20260908191801-89a6a09411d5
	golang.org/x/sys v0.49.0
)

replace ethertap => ../../..
