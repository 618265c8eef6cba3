"""``make drill``: many machines, and nothing lost.

Two API servers, three workers, PostgreSQL and an object store. Customers order while processes are killed, the database is
restarted, the store cannot be reached, a worker is cut off and a clock is wrong. Then it is proved what must still hold.
"""
