: step ( x i - x ) over 3 * + swap 7 - + 65536 mod ;
: bench ( - x ) 1 2000000 0 do i step loop ;
