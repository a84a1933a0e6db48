"""Neutron's API for a switch in user space, which carries TCP in segments of up to 64 KiB.

OVN measures such a segment against a router's `gateway_mtu`, finds it too large, and TCP through the router crawls. Neutron always sets that option,
so it is written here under a name that OVN does not know. A switch in the kernel needs none of this. Must not change anything else.
"""

from neutron.common.ovn import constants

constants.OVN_ROUTER_PORT_GW_MTU_OPTION = "unused_gateway_mtu"

from neutron.wsgi.api import application  # noqa: E402, F401
