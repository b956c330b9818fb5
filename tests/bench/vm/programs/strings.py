def bench():
    total = 0
    for _ in range(100):
        s = ""
        for i in range(2000):
            s = s + str(i) + ","
        total += len(s)
    return total
