"""How our structs appear in the OpenAPI description."""

from typing import Any

import msgspec
from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.plugins.core._msgspec import kwarg_definition_from_field
from litestar.typing import FieldDefinition
from msgspec import Struct


class StructSchemas(OpenAPISchemaPlugin):
    """In place of Litestar's own for structs, which fails on defaults that cannot be hashed (structs that hold maps).

    It also says that fields nobody knows are refused.
    """

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Structs."""
        return not field_definition.is_union and field_definition.is_subclass_of(Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """The struct's fields, their bounds, and which of them must be there."""
        hints = field_definition.get_type_hints(include_extras=True, resolve_generics=True)
        info = msgspec.inspect.type_info(field_definition.type_)
        assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - what is_plugin_supported_field said
        fields = {}
        for field in info.fields:
            bounds = kwarg_definition_from_field(field)[0]
            more: dict[str, Any] = {"kwarg_definition": bounds} if bounds else {}
            if isinstance(field.default, str | int | bool):
                more["default"] = field.default
            fields[field.encode_name] = FieldDefinition.from_annotation(
                annotation=hints[field.name], name=field.encode_name, **more
            )
        schema: Schema = schema_creator.create_component_schema(
            field_definition,
            required=sorted(field.encode_name for field in info.fields if field.required),
            property_fields=fields,
        )
        if info.forbid_unknown_fields:
            schema.additional_properties = False
        return schema
