local bench = dofile(arg[1])
local start = os.clock()
local result = bench()
print((os.clock() - start) * 1000, string.format("%d", result))
