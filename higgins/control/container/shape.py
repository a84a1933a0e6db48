"""Turns a checked request into a pod's spec, with this installation's defaults in it. Pure."""

from __future__ import annotations

from typing import Any

from higgins.control.container import limits
from higgins.control.network.driver import Chosen
from higgins.control.requests import NewContainer
from higgins.control.settings import Settings
from higgins.core import reference
from higgins.core.errors import Invalid
from higgins.core.model import ContainerSpec, ImageGrant, Mount, PodSpec, RestartPolicy
from higgins.core.names import LOCAL_IMAGES


def pod_spec(
    new: NewContainer,
    settings: Settings,
    *,
    uuid: str,
    name: str,
    chosen: Chosen,
    found_image: ImageGrant | None,
    mounts: tuple[Mount, ...],
    registry: tuple[str, str] | None,
    requested_host: str | None,
) -> PodSpec:
    """A pod of one container, both of this uuid. ``registry`` is the uuid and the domain of a record."""
    container = _container(new, settings, registry, uuid=uuid, name=name, found_image=found_image, mounts=mounts)
    return PodSpec(
        containers=(container,),
        hostname=new.hostname,
        network_driver=chosen.network_driver,
        networks=chosen.networks,
        security_groups=chosen.security_groups,
        auto_remove=new.auto_remove,
        auto_heal=new.auto_heal,
        hints=dict(new.hints),
        availability_zone=new.availability_zone,
        requested_host=requested_host,
    )


def _container(
    new: NewContainer,
    settings: Settings,
    registry: tuple[str, str] | None,
    *,
    found_image: ImageGrant | None,
    **known: Any,
) -> ContainerSpec:
    return ContainerSpec(
        **known,
        image=new.image if found_image else full_image(new.image, None if registry is None else registry[1], settings),
        image_driver=new.image_driver or settings.image_drivers[0],
        found_image=found_image,
        pull_policy=new.image_pull_policy or settings.default_pull_policy,
        registry=None if registry is None else registry[0],
        command=new.command or None,
        entrypoint=new.entrypoint or None,
        workdir=new.workdir,
        environment=dict(new.environment),
        labels=dict(new.labels),
        cpus=settings.default_cpus or None if new.cpu is None else new.cpu,
        cpu_shares=new.cpu_shares,
        cpu_policy=new.cpu_policy,
        memory_mib=settings.default_memory_mib or None if new.memory_mib is None else new.memory_mib,
        disk_gib=settings.default_disk_gib or None if new.disk_gib is None else new.disk_gib,
        pids_limit=settings.default_pids_limit or None if new.pids_limit is None else new.pids_limit,
        tty=new.tty,
        interactive=new.interactive,
        privileged=new.privileged,
        runtime=new.runtime,
        healthcheck=new.healthcheck,
        restart_policy=new.restart_policy or RestartPolicy(),
        exposed_ports=new.exposed_ports,
    )


def full_image(image: str, domain: str | None, settings: Settings) -> str:
    """The image's name with the registry's domain before it, when it names none itself.

    ``Invalid`` for an ill-formed one, and for one of another registry: hosts would show that one the login of this.
    """
    parsed = parsed_name(image)
    limits.check_registry(settings, parsed.domain or domain)
    if domain is None:
        return image
    if parsed.domain is None:
        return str(parsed_name(f"{domain}/{image}"))
    if not reference.same_registry(parsed.domain, domain):
        raise Invalid(
            f"The image '{image}' is not of the registry {domain}. "
            f"Name it without {parsed.domain}, or use a registry record for {parsed.domain}, or none."
        )
    return image


def parsed_name(image: str) -> reference.Reference:
    """The parts of an image's name; ``Invalid`` for an ill-formed one, and for those under which hosts keep what is not for everybody."""
    parsed = reference.parse(image)
    if parsed.is_ours:
        raise Invalid(
            f"'{image}' cannot be named: {LOCAL_IMAGES} is no registry. Use the image_driver glance for images of Glance."
        )
    return parsed
