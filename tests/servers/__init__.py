"""Real servers for tests: private, on loopback, in a temporary folder, started and stopped by process id.

``mariadb`` and ``mysql`` give databases, ``git_ssh`` and ``git_https`` serve one bare repository, ``forward_proxy``
is the only way out of a closed network. The fixtures that hand them out are in ``tests/conftest.py``.
"""
