def step(x, i):
    return (x * 3 + i + x - 7) % 65536

def bench():
    x = 1
    for i in range(2000000):
        x = step(x, i)
    return x
