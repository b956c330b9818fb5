def bench():
    n = 1000000
    flags = [True] * n
    count = 0
    for i in range(2, n):
        if flags[i]:
            count += 1
            for k in range(i * i, n, i):
                flags[k] = False
    return count
