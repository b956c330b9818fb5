local function step(x, i) return (x * 3 + i + x - 7) % 65536 end
return function()
	local x = 1
	for i = 0, 1999999 do x = step(x, i) end
	return x
end
