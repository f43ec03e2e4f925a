"""The agent on real VMs: Debian root file systems with systemd as PID 1, in namespaces of this machine."""
