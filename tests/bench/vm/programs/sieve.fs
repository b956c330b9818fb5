create flags 1000000 allot
: bench ( - n )
  flags 1000000 1 fill
  0 1000000 2 do
    i flags + c@ if
      1+
      i dup * dup 1000000 < if
        1000000 swap do 0 i flags + c! j +loop
      else drop then
    then
  loop ;
