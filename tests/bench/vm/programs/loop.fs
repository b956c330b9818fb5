: bench 10000000 0 do loop 0 ;
