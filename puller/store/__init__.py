"""What the puller must not forget, in one SQLite file. Each module holds the questions about one noun.

A question is a plain function of a connection: it runs inside one transaction, in one hop to the database's thread, so
that a cancelled pass never leaves a transaction open.
"""

from puller.store.connection import Store, open_store, read_store

__all__ = ["Store", "open_store", "read_store"]
