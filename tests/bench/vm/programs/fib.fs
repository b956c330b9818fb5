: fib ( n - n ) dup 2 < if exit then dup 1- recurse swap 2 - recurse + ;
: bench ( - n ) 30 fib ;
