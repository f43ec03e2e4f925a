"""The network of the VMs: each in a namespace of its own, behind a gateway that lets outbound traffic alone pass.

    host namespace            gateway namespace             VM's namespace
    TAG-host NET.1 <--veth--> uplink NET.254   v11 <-veth-> eth0 NET.11/32 ...

Root in a VM can neither see nor change the gateway's rules, as with a cloud's firewall; the host's own namespace gets
one link and one route, no rule and no connection tracking. The VMs reach the host and nothing beyond it.
"""

import subprocess
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

NAMESPACES = Path("/run/netns")
Cut = Literal["", "link", "drop", "refuse"]


class Link(Struct, frozen=True, kw_only=True):
    """How a VM is connected."""

    index: int
    """Last number of its address."""
    cut: Cut = ""
    """`link`: the carrier is lost; `drop`: packets vanish; `refuse`: the firewall says that it lets nothing through."""
    only_to: int = 0
    """Port of the host that alone can be reached: a forward proxy's. 0: every port."""
    serves: tuple[int, ...] = ()
    """Ports that the other VMs may connect to, as the members of a cluster must."""


class Network:
    """The gateway and the links of one lab."""

    def __init__(self, *, tag: str, net: str) -> None:
        """`tag` begins the name of everything that is made here; `net` has the first three numbers of a /24."""
        self.tag, self.net = tag, net
        self.host = f"{net}.1"
        self.impostor = f"{net}.2"
        """Another address of the host, for whoever pretends to be the backend."""
        self.gateway = f"{tag}-gw"
        self.links: dict[str, Link] = {}

    def namespace(self, name: str) -> str:
        """The namespace of a VM."""
        return f"{self.tag}-vm-{name}"

    def address(self, name: str) -> str:
        """The address of a VM."""
        return f"{self.net}.{self.links[name].index}"

    def up(self) -> None:
        """Makes the gateway and its link to the host."""
        run("ip", "netns", "add", self.gateway)
        forwarding = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.disable_ipv6=1")
        self._in_gateway(
            "sysctl", "-qw", *forwarding, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"
        )
        link = f"{self.tag}-host"
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", self.gateway)
        for address in (self.host, self.impostor):
            run("ip", "addr", "add", f"{address}/32", "dev", link)
        run("ip", "link", "set", link, "up")
        self._in_gateway("ip", "addr", "add", f"{self.net}.254/32", "dev", "uplink")
        self._in_gateway("ip", "link", "set", "uplink", "up")
        self._answer_arp("uplink")
        for address in (self.host, self.impostor):
            self._in_gateway("ip", "route", "add", f"{address}/32", "dev", "uplink")
        run("ip", "route", "add", f"{self.net}.0/24", "dev", link, "src", self.host)

    def connect(self, name: str, link: Link) -> None:
        """Makes the VM's namespace, with a /32 address and an on-link gateway, as some clouds hand out."""
        self.links[name] = link
        namespace, address = self.namespace(name), f"{self.net}.{link.index}"
        run("ip", "netns", "add", namespace)
        run(
            "ip",
            "link",
            "add",
            f"v{link.index}",
            "netns",
            self.gateway,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            namespace,
        )
        run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
        inside = ("ip", "-n", namespace)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "addr", "add", f"{address}/32", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        self._replug(link)
        self._route(name)
        self.apply()

    def change(self, name: str, **how: object) -> None:
        """Other settings of a VM's link, such as cut="drop"."""
        before = self.links[name]
        after = self.links[name] = msgspec.structs.replace(before, **how)
        if after.cut == "link":
            self._in_gateway("ip", "link", "set", f"v{after.index}", "down")
        elif before.cut == "link":
            self._replug(after)
        self.apply()

    def apply(self) -> None:
        """Puts the gateway's rules in place, made anew in one step. Known connections keep their state."""
        text = "\n".join(self._rules())
        run("ip", "netns", "exec", self.gateway, "nft", "-f", "-", text=text)

    def dropped(self, name: str) -> int:
        """How many packets to this VM the firewall has dropped since the rules changed last."""
        listed = self._in_gateway("nft", "list", "table", "inet", "towline")
        words = next(line for line in listed.splitlines() if f'"inbound to {name}"' in line).split()
        return int(words[words.index("packets") + 1])

    def down(self) -> None:
        """Removes every namespace of this tag; links and rules go with them. What is not there is no error."""
        for namespace in NAMESPACES.glob(f"{self.tag}-*"):
            run("ip", "netns", "del", namespace.name)
        if Path(f"/sys/class/net/{self.tag}-host").exists():
            subprocess.run(["ip", "link", "del", f"{self.tag}-host"], capture_output=True, check=False)
        self.links.clear()

    def _rules(self) -> list[str]:
        links = self.links.items()
        cut = [link for _, link in links if link.cut == "drop"]
        refused = [link for _, link in links if link.cut == "refuse"]
        proxied = [link for _, link in links if link.only_to]
        return [
            "table inet towline",
            "delete table inet towline",
            "table inet towline {",
            " chain forward {",
            "  type filter hook forward priority 0; policy accept;",
            *(f'  {side} "v{link.index}" drop' for link in cut for side in ("iifname", "oifname")),
            *(f'  iifname "v{link.index}" reject with icmpx admin-prohibited' for link in refused),
            *(f'  oifname "v{link.index}" drop' for link in refused),
            "  ct state established,related accept",
            "  ct state invalid drop",
            *(f'  iifname "v{link.index}" tcp dport {link.only_to} accept' for link in proxied),
            *(f'  iifname "v{link.index}" drop' for link in proxied),
            *(
                f'  iifname "v*" oifname "v{link.index}" tcp dport {port} accept'
                for _, link in links
                for port in link.serves
            ),
            *(f'  oifname "v{link.index}" counter drop comment "inbound to {name}"' for name, link in links),
            " }",
            "}",
        ]

    def _replug(self, link: Link) -> None:
        """Brings the provider's end up; a link that was down has lost its routes."""
        self._in_gateway("ip", "link", "set", f"v{link.index}", "up")
        self._answer_arp(f"v{link.index}")
        self._in_gateway("ip", "route", "replace", f"{self.net}.{link.index}/32", "dev", f"v{link.index}")

    def _route(self, name: str) -> None:
        inside, address = ("ip", "-n", self.namespace(name)), self.address(name)
        run(*inside, "route", "replace", f"{self.host}/32", "dev", "eth0", "src", address)
        run(*inside, "route", "replace", "default", "via", self.host, "dev", "eth0", "src", address)

    def _answer_arp(self, device: str) -> None:
        # Without proxy_delay=0 the first packet to a new address takes up to 0.8 s.
        settings = (f"net.ipv4.conf.{device}.proxy_arp=1", f"net.ipv4.neigh.{device}.proxy_delay=0")
        self._in_gateway("sysctl", "-qw", *settings)

    def _in_gateway(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.gateway, *command)


def run(*command: str, text: str = "") -> str:
    """Runs a program of the host; what it printed. RuntimeError with its words where it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
