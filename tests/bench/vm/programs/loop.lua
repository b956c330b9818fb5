return function() for i = 0, 9999999 do end return 0 end
