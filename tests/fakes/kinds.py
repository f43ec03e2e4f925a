"""Three small kinds, as their scripts' `meta` would describe them."""

from desired_state.contract import Effect, KindMeta, PackageRole, Parameter, Verb, VerbMeta

_VERBS: dict[Verb, VerbMeta] = {
    verb: VerbMeta(timeout_s=60) for verb in Verb if verb not in (Verb.META, Verb.MONITOR_TRACE)
}


def _kind(kind: str, role: str, *parameters: Parameter, holds_data: bool = False) -> KindMeta:
    return KindMeta(
        schema="towline.meta/1",
        kind=kind,
        holds_data=holds_data,
        parameters=parameters,
        packages=(PackageRole(role=role),),
        ports=("port",),
        verbs=_VERBS,
    )


KINDS = {
    "redis": _kind(
        "redis",
        "server",
        Parameter(name="port", type="port", default="6379"),
        Parameter(name="maxmemory", type="size", default="64mb", effect=Effect.RELOAD),
        Parameter(name="maxmemory_policy", type="string", default="noeviction", effect=Effect.RELOAD),
        holds_data=True,
    ),
    "agent": _kind(
        "agent", "release", Parameter(name="trial_timeout", type="duration", default="5m", effect=Effect.NONE)
    ),
    "java": _kind(
        "java",
        "jar",
        Parameter(name="port", type="port", default="8080"),
        Parameter(name="heap", type="size", default="256mb"),
        Parameter(name="jvm_options", type="string", default="-XX:+UseG1GC"),
        Parameter(name="log_level", type="string", default="INFO", effect=Effect.RELOAD),
    ),
    "node_exporter": _kind("node_exporter", "server", Parameter(name="port", type="port", default="9100")),
    "nginx": _kind(
        "nginx",
        "server",
        Parameter(name="port", type="port", default="8080"),
        Parameter(name="workers", type="int", default="2", effect=Effect.RELOAD),
        Parameter(name="upstream", type="string", default="", effect=Effect.RELOAD),
    ),
}
