import sys, time
names = {}
exec(open(sys.argv[1]).read(), names)
start = time.process_time()
result = names["bench"]()
print((time.process_time() - start) * 1000, result)
