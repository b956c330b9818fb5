return function()
	local n, flags, count = 1000000, {}, 0
	for i = 1, n do flags[i] = true end
	for i = 2, n - 1 do
		if flags[i] then
			count = count + 1
			for k = i * i, n - 1, i do flags[k] = false end
		end
	end
	return count
end
