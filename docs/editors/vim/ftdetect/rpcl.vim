au BufRead,BufNewFile *.rpcl setfiletype rpcl
