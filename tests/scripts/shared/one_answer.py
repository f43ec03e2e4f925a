"""Says its port, takes one request, and answers it with a file; nothing when the file is empty."""

import socket
import sys
from pathlib import Path

with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    with connection:
        asked = b""
        while b"\r\n\r\n" not in asked:  # bash writes it line by line; what is left unread would reset the connection
            asked += connection.recv(65536)
        connection.sendall(Path(sys.argv[1]).read_bytes())
