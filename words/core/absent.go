package core

import "ethertap/interp"

// absent are the words of Forth 2012, and some that gforth adds, that have no meaning
// here: there is no address space, and no compiler that words could drive. Plain nouns
// such as count, find, source or block are not among them, since they are good names
// for variables; programs that use them for Forth's words use others of the table too.
var absent = []interp.Absent{
	{Names: "create >body here allot align aligned unused pad allocate resize", Here: `"name" buffer`},
	{Names: "does>", Here: `"source" "name" !!`},
	{Names: "cells cell+ chars char+", Here: "indices: cell@ and cell! count cells, b@ and b! count bytes"},
	{Names: ", c,", Here: "n index buffer cell! or byte index buffer b!"},
	{Names: "c@", Here: "index buffer b@ or data offset data.8@"},
	{Names: "c!", Here: "byte index buffer b! or data byte offset data.8!"},
	{Names: "2@ 2! 2variable 2constant 2value 2literal", Here: "a variable for each, or cell@ and cell!"},
	{Names: "cmove cmove>", Here: "from to n move"},
	{Names: "blank", Here: "buffer n bl fill"},
	{Names: "begin-structure end-structure +field field: cfield:", Here: "constants as indices of cell@ and b@"},
	{Names: `c"`, Here: `"text" or s"`},
	{Names: `s\"`, Here: `"text", which knows \" \\ \n \t \r \xHH`},
	{Names: "replaces substitute unescape", Here: "str.replace"},
	{Names: "postpone immediate compile-only compile, [compile] literal sliteral [ ] ]l", Here: `"source" "name" !! defines from text that may be made; constant keeps what is computed`},
	{Names: "[: ;]", Here: `"source", or :noname`},
	{Names: "(local) locals|", Here: "{: a b | c -- d :}"},
	{Names: "--", Here: "( a b - c ) has one dash, locals are {: a b -- c :}"},
	{Names: "<# #> #s holds", Here: "str.format, num->base"},
	{Names: "base", Here: "num->base and base->num"},
	{Names: "hex decimal octal", Here: "$1f and 0x1f read hexadecimal, hex. prints it"},
	{Names: "marker forget", Here: `"name" delete`},
	{Names: "synonym alias", Here: ": name other ;"},
	{Names: "wordlist vocabulary get-order set-order get-current set-current search-wordlist forth-wordlist traverse-wordlist name>string name>interpret name>compile", Here: "one dictionary; words lists it"},
	{Names: "d+ d- d. d.r d< d= d0< d0= d2* d2/ d>s s>d dabs dmax dmin dnegate du< m+ m* m*/ um* um/mod sm/rem fm/mod ud. ud.r 2rot >number",
		Here: "numbers have 64 bits; */ and */mod have 128 between"},
	{Names: "f+ f- f* f/ f** f. fe. fs. f! f@ f, f< f0< f0= f~ f>s s>f f>d d>f fabs fmax fmin fdup fdrop fswap fover frot fnegate fsqrt fround fdepth fvariable fconstant fvalue fliteral >float",
		Here: "integers; */ scales"},
	{Names: "parse parse-name >in source-id refill save-input restore-input accept", Here: "read-line, or values on the stack"},
	{Names: "environment?", Here: `"name" exists`},
	{Names: "include included require required", Here: `"file" load`},
	{Names: "open-file close-file create-file delete-file rename-file read-file write-file write-line flush-file include-file file-size file-position file-status reposition-file resize-file r/o r/w w/o",
		Here: "load, read-line"},
	{Names: "save-buffers empty-buffers scr thru", Here: "files, and load"},
	{Names: "time&date utime cputime", Here: "now, ticks, timer-start"},
	{Names: "at-xy", Here: "page, watch"},
	{Names: "ekey ekey? ekey>char ekey>fkey emit?", Here: "key and key?"},
	{Names: "dump", Here: ".x"},
	{Names: "endif", Here: "then"},
	{Names: "ahead cs-pick cs-roll ;code end-code", Here: "if, begin, do and case"},
	{Names: "n>r nr> rdrop 2rdrop", Here: ">r, r>, 2>r, 2r>"},
	{Names: "sp@ sp! rp@ rp!", Here: "depth, .s, { and }"},
}
