"""A pod as it is wanted and as it is, in few words, for tests of what an agent plans and tells."""

import dataclasses

from higgins.agent.plan import Have, plan
from higgins.core import model
from higgins.core.model import ContainerFacts, ContainerSpec, FixedIp, Plug, PodSpec
from higgins.core.phase import Desired, EngineState, PullPolicy, Wish

SPEC = ContainerSpec(uuid="c1", name="web", image="nginx", pull_policy=PullPolicy.IF_NOT_PRESENT)
ONE = Plug(port="p1", network="n1", mac="fa:16:3e:00:00:01", mtu=1442, fixed_ips=(FixedIp(addr="10.0.0.5", prefix_length=24),))  # fmt: skip
TWO = Plug(port="p2", network="n2", mac="fa:16:3e:00:00:02", mtu=1442)


def want(spec=SPEC, *, others=(), init=(), auto_remove=False, auto_heal=False, **changes):
    pod = PodSpec(containers=(spec, *others), init_containers=init, auto_remove=auto_remove, auto_heal=auto_heal)
    given = {"generation": 1, "desired": Desired.RUNNING, "run": 1, "build": 1, "wish": Wish.CREATE} | changes
    return model.Assignment(uuid="c1", project_id="p", name="web", request_id="req-1", spec=pod, **given)


def facts(state, uuid="c1", *, build=1, **more):
    return ContainerFacts(uuid=uuid, pod="c1", state=state, build=build, **more)


def have(*found, run=0, **more):
    return Have(
        containers={each.uuid: each for each in found},
        runs={each.uuid: run for each in found} or {"c1": run},
        builds={each.uuid: each.build for each in found} | more.pop("builds", {}),
        **more,
    )


def printed(wanted, found):
    return "\n".join(map(str, plan(wanted, found)))


def on(*plugs, **words):
    made = want(plugs=plugs, **words)
    return dataclasses.replace(made, spec=dataclasses.replace(made.spec, network_driver="neutron"))


def running(*ports, namespace=True, plugs=None, **more):
    found = facts(EngineState.RUNNING, ports=ports if namespace is None else None)
    return have(found, run=1, namespace=namespace, plugs=plugs or {}, **more)
