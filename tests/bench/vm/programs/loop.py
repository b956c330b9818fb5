def bench():
    for i in range(10000000):
        pass
    return 0
