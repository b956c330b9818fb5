return function()
	local t, total = {}, 0
	for i = 0, 19999 do t["k" .. i] = i end
	for _ = 1, 5 do
		for i = 0, 19999 do
			local k = "k" .. i
			t[k] = t[k] + 1
			total = total + t[k]
		end
	end
	return total
end
