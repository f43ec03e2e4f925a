"""The agent on the VM."""
