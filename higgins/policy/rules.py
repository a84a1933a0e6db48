"""The documented default of every rule: Zun's names, and a few of Higgins' own. Knows no caller and no file.

Personas are roles of the caller, each within his own project:

* ``reader`` sees what the project has, but not the environment of its containers, which holds passwords as a rule, nor what their steps
  failed with.
* ``member`` also makes, changes and removes it; this is all that Zun lets an owner do.
* ``manager`` also force-deletes.
* ``admin`` may do everything that is allowed at all, in every project.
* ``service`` is for other services of the cloud: it reads quotas and what is used of them, and changes nothing. What containers hold is none of
  its business: every service's account of a cloud has that role.

A caller whose roles are none of these may do nothing. Roles imply nothing here (a ``member`` need not have ``reader`` as well): each default
spells out who is meant, so that it holds with or without Keystone's implied roles.
"""

from __future__ import annotations

from oslo_policy import policy

ADMIN = "rule:context_is_admin"
MANAGER = "rule:project_manager"
MEMBER = "rule:project_member"
READER = "rule:project_reader"
READER_OR_SERVICE = "rule:reader_or_service"
NOBODY = "!"

_OWN = "project_id:%(project_id)s"
_WORDS = [
    policy.RuleDefault("context_is_admin", "role:admin", "Who may do everything."),
    policy.RuleDefault("service_api", "role:service", "Other services of the cloud."),
    policy.RuleDefault(
        "project_manager", f"rule:context_is_admin or (role:manager and {_OWN})", "Managers of the project, and admin."
    ),
    policy.RuleDefault(
        "project_member",
        f"rule:project_manager or (role:member and {_OWN})",
        "Members and managers of the project, and admin.",
    ),
    policy.RuleDefault(
        "project_reader",
        f"rule:project_member or (role:reader and {_OWN})",
        "Readers, members and managers of the project, and admin.",
    ),
    policy.RuleDefault("reader_or_service", "rule:project_reader or rule:service_api", "Readers, and other services."),
]

_CONTAINER = "/v1/containers/{container_ident}"

_CONTAINER_RULES = (
    ("container:create", MEMBER, "Create a container.", "POST", "/v1/containers"),
    ("container:create:image_pull_policy", ADMIN, "Choose when its image is pulled.", "POST", "/v1/containers"),
    ("container:create:runtime", ADMIN, "Choose its runtime.", "POST", "/v1/containers"),
    ("container:create:requested_destination", ADMIN, "Choose its host.", "POST", "/v1/containers"),
    ("container:create:privileged", NOBODY, "Give it all powers over its host.", "POST", "/v1/containers"),
    ("container:get_all", READER, "List the project's containers.", "GET", "/v1/containers"),
    ("container:get_all_all_projects", ADMIN, "List all containers.", "GET", "/v1/containers"),
    ("container:get_one", READER, "Show a container.", "GET", _CONTAINER),
    ("container:get_one_all_projects", ADMIN, "Reach a container of another project.", "GET", _CONTAINER),
    ("container:get_one:environment", MEMBER, "See its environment.", "GET", _CONTAINER),
    ("container:get_one:host", ADMIN, "See which host a container is on.", "GET", _CONTAINER),
    ("container:get_one:image_pull_policy", ADMIN, "See when its image is pulled.", "GET", _CONTAINER),
    ("container:get_one:privileged", ADMIN, "See whether it is privileged.", "GET", _CONTAINER),
    ("container:get_one:runtime", ADMIN, "See its runtime.", "GET", _CONTAINER),
    ("container:update", MEMBER, "Change its name, cpu, memory or auto_heal.", "PATCH", _CONTAINER),
    ("container:delete", MEMBER, "Delete a container.", "DELETE", _CONTAINER),
    ("container:delete_force", MANAGER, "Kill and delete a container.", "DELETE", _CONTAINER),
    ("container:delete_all_projects", ADMIN, "Delete a container of another project.", "DELETE", _CONTAINER),
    ("container:start", MEMBER, "Start it.", "POST", f"{_CONTAINER}/start"),
    ("container:stop", MEMBER, "Stop it.", "POST", f"{_CONTAINER}/stop"),
    ("container:reboot", MEMBER, "Restart it.", "POST", f"{_CONTAINER}/reboot"),
    ("container:pause", MEMBER, "Freeze it.", "POST", f"{_CONTAINER}/pause"),
    ("container:unpause", MEMBER, "Thaw it.", "POST", f"{_CONTAINER}/unpause"),
    ("container:kill", MEMBER, "Send it a signal.", "POST", f"{_CONTAINER}/kill"),
    ("container:rebuild", MEMBER, "Make it anew.", "POST", f"{_CONTAINER}/rebuild"),
    ("container:rename", MEMBER, "Rename it.", "POST", f"{_CONTAINER}/rename"),
    ("container:resize_container", MEMBER, "Change its cpu or memory.", "POST", f"{_CONTAINER}/resize_container"),
    ("container:execute", MEMBER, "Run a command in it.", "POST", f"{_CONTAINER}/execute"),
    ("container:execute_resize", MEMBER, "Resize a command's terminal.", "POST", f"{_CONTAINER}/execute_resize"),
    ("container:attach", MEMBER, "Attach to its terminal.", "GET", f"{_CONTAINER}/attach"),
    ("container:resize", MEMBER, "Resize its terminal.", "POST", f"{_CONTAINER}/resize"),
    ("container:logs", READER, "Read what it wrote.", "GET", f"{_CONTAINER}/logs"),
    ("container:top", READER, "List its processes.", "GET", f"{_CONTAINER}/top"),
    ("container:stats", READER, "See what it uses.", "GET", f"{_CONTAINER}/stats"),
    ("container:get_archive", MEMBER, "Copy files out of it.", "GET", f"{_CONTAINER}/get_archive"),
    ("container:put_archive", MEMBER, "Copy files into it.", "POST", f"{_CONTAINER}/put_archive"),
    ("container:commit", MEMBER, "Make an image of it.", "POST", f"{_CONTAINER}/commit"),
    ("container:network_attach", MEMBER, "Attach a network.", "POST", f"{_CONTAINER}/network_attach"),
    ("container:network_detach", MEMBER, "Detach a network.", "POST", f"{_CONTAINER}/network_detach"),
    ("container:network_list", READER, "List its networks.", "GET", f"{_CONTAINER}/network_list"),
    ("container:add_security_group", MEMBER, "Add a security group.", "POST", f"{_CONTAINER}/add_security_group"),
    ("container:remove_security_group", MEMBER, "Remove a security group.", "POST", f"{_CONTAINER}/remove_security_group"),
    ("container:actions", READER, "See what was asked of it.", "GET", f"{_CONTAINER}/container_actions"),
    ("container:action:events", MEMBER, "See what its steps failed with.", "GET", f"{_CONTAINER}/container_actions/{{request_id}}"),
)  # fmt: skip

_OTHER_RULES = (
    ("image:pull", ADMIN, "Pull an image to a host.", "POST", "/v1/images"),
    ("image:get_all", ADMIN, "List the images on hosts.", "GET", "/v1/images"),
    ("image:get_one", ADMIN, "Show an image.", "GET", "/v1/images/{image_id}"),
    ("image:delete", ADMIN, "Take an image off its host.", "DELETE", "/v1/images/{image_id}"),
    ("image:search", READER, "Search images.", "GET", "/v1/images/{image_name}/search"),
    ("host:get_all", ADMIN, "List hosts.", "GET", "/v1/hosts"),
    ("host:get", ADMIN, "Show a host.", "GET", "/v1/hosts/{host_ident}"),
    ("zun-service:get_all", ADMIN, "List services.", "GET", "/v1/services"),
    ("zun-service:delete", ADMIN, "Delete a service.", "DELETE", "/v1/services"),
    ("zun-service:enable", ADMIN, "Enable a service.", "PUT", "/v1/services/enable"),
    ("zun-service:disable", ADMIN, "Disable a service.", "PUT", "/v1/services/disable"),
    ("zun-service:force_down", ADMIN, "Treat a service as down.", "PUT", "/v1/services/force_down"),
    ("availability_zones:get_all", READER, "List availability zones.", "GET", "/v1/availability_zones"),
    ("network:create", ADMIN, "Keep a record of a network.", "POST", "/v1/networks"),
    ("network:delete", ADMIN, "Drop the record of a network.", "DELETE", "/v1/networks/{network_id}"),
    ("network:attach_external_network", ADMIN, "Use an external network that is not shared.", "POST", "/v1/containers"),
    ("quota:get", READER_OR_SERVICE, "See a project's quota.", "GET", "/v1/quotas/{project_id}"),
    ("quota:get_default", READER_OR_SERVICE, "See the default quota.", "GET", "/v1/quotas/{project_id}/defaults"),
    ("quota:update", ADMIN, "Set a project's quota.", "PUT", "/v1/quotas/{project_id}"),
    ("quota:delete", ADMIN, "Give a project the default quota.", "DELETE", "/v1/quotas/{project_id}"),
    ("quota_class:get", ADMIN, "See the quota of a class.", "GET", "/v1/quota_classes/{quota_class_name}"),
    ("quota_class:update", ADMIN, "Set the quota of a class.", "PUT", "/v1/quota_classes/{quota_class_name}"),
    ("registry:create", MEMBER, "Keep a registry.", "POST", "/v1/registries"),
    ("registry:get_all", READER, "List registries.", "GET", "/v1/registries"),
    ("registry:get_all_all_projects", ADMIN, "List all registries.", "GET", "/v1/registries"),
    ("registry:get_one", READER, "Show a registry.", "GET", "/v1/registries/{registry_ident}"),
    ("registry:get_one_all_projects", ADMIN, "Reach a registry of another project.", "GET", "/v1/registries/{registry_ident}"),
    ("registry:update", MEMBER, "Change a registry.", "PATCH", "/v1/registries/{registry_ident}"),
    ("registry:delete", MEMBER, "Forget a registry.", "DELETE", "/v1/registries/{registry_ident}"),
)  # fmt: skip

_RULES: list[policy.RuleDefault] = [
    *_WORDS,
    *(
        policy.DocumentedRuleDefault(name, check, description, [{"method": method, "path": path}])
        for name, check, description, method, path in (*_CONTAINER_RULES, *_OTHER_RULES)
    ),
]


def list_rules() -> list[policy.RuleDefault]:
    """All defaults, for the enforcer and for oslo.policy's tools."""
    return list(_RULES)
