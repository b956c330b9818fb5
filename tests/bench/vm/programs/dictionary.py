def bench():
    t = {}
    total = 0
    for i in range(20000):
        t["k" + str(i)] = i
    for _ in range(5):
        for i in range(20000):
            k = "k" + str(i)
            t[k] = t[k] + 1
            total += t[k]
    return total
