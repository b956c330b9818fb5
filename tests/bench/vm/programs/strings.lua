return function()
	local total = 0
	for _ = 1, 100 do
		local s = ""
		for i = 0, 1999 do s = s .. i .. "," end
		total = total + #s
	end
	return total
end
