"""JSON Schema of one settings class and of those inside it, with the sentence under each field."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import inspect

from headrace.config.field_doc import class_doc, field_docs

__all__ = ["DRAFT", "REFERENCE", "Definitions", "Schema"]

Schema: TypeAlias = dict[str, object]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

REFERENCE: Final[Schema] = {"$ref": "#/$defs/reference"}
_REFERENCE_SCHEMA: Final[Schema] = {
    "type": "string",
    "pattern": r"(^|[^$])\$\{(file:[^{}\n]+|[A-Za-z_][A-Za-z0-9_]*)\}",
    "description": "Filled in at load: ${NAME} from the environment, ${file:PATH} from a file.",
}
"""Text that holds a `${…}`, which load fills in before it looks at the type."""


class Definitions:
    """The `$defs` of a schema, filled as classes are met."""

    def __init__(self) -> None:
        self.found: dict[str, object] = {"reference": _REFERENCE_SCHEMA}
        self._name_by_class: dict[type[msgspec.Struct], str] = {}

    def add(self, struct: type[msgspec.Struct]) -> Schema:
        """A reference to the class's definition, which is made on first sight."""
        name = self._name_by_class.get(struct)
        if name is None:
            name = self._free_name(struct.__name__)
            self._name_by_class[struct] = name
            self.found[name] = {}  # taken, so that a class that holds itself ends here
            self.found[name] = self.extended(struct)
        return {"$ref": f"#/$defs/{name}"}

    def extended(self, struct: type[msgspec.Struct], **more: object) -> Schema:
        """The class's schema written out, with further properties."""
        docs = field_docs(struct)
        properties: dict[str, object] = dict(more)
        required: list[str] = []
        for field in msgspec.structs.fields(struct):
            schema = self.of(inspect.type_info(field.type), optional=not field.required)
            if field.encode_name in docs:
                schema = {"description": docs[field.encode_name], **schema}
            if field.required:
                required.append(field.encode_name)
            elif (default := _default(field)) is not None:
                schema = {**schema, "default": default}
            properties[field.encode_name] = schema
        config = struct.__struct_config__
        if config.tag_field is not None:
            properties[config.tag_field] = {"const": config.tag}
            required.append(config.tag_field)
        return {
            "description": class_doc(struct),
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": not config.forbid_unknown_fields,
        }

    def needs_settings(self, struct: type[msgspec.Struct]) -> bool:
        """Whether the class cannot be made from an empty mapping."""
        return any(field.required for field in msgspec.structs.fields(struct))

    def of(self, info: inspect.Type, *, optional: bool = False) -> Schema:
        """The schema of a type, with references allowed where text is not.

        An `optional` field may have nothing behind its name, which means its default.
        """
        schemas = self._alternatives(info)
        if optional and {} not in schemas and {"type": "null"} not in schemas:
            schemas.append({"type": "null"})
        takes_any_text = any(each == {} or each == {"type": "string"} for each in schemas)
        if not takes_any_text and any(_is_scalar(each) for each in schemas):
            schemas.append(REFERENCE)
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def _alternatives(self, info: inspect.Type) -> list[Schema]:
        if isinstance(info, inspect.Metadata):
            return self._alternatives(info.type)
        if isinstance(info, inspect.UnionType):
            return [schema for part in info.types for schema in self._alternatives(part)]
        return [self._one(info)]

    def _one(self, info: inspect.Type) -> Schema:
        if isinstance(info, inspect.StructType):
            return self.add(info.cls)
        if isinstance(info, inspect.DictType):
            return {"type": "object", "additionalProperties": self.of(info.value_type)}
        if isinstance(info, inspect.CollectionType):
            limits = {"minItems": info.min_length, "maxItems": info.max_length}
            return {"type": "array", "items": self.of(info.item_type), **_given(limits)}
        if isinstance(info, inspect.TupleType):
            items = [self.of(each) for each in info.item_types]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
        return _scalar(info)

    def _free_name(self, name: str) -> str:
        taken, i = name, 2
        while taken in self.found:
            taken, i = f"{name}{i}", i + 1
        return taken


def _scalar(info: inspect.Type) -> Schema:
    if isinstance(info, inspect.AnyType) or info == inspect.CustomType(object):
        return {}
    if isinstance(info, inspect.LiteralType):
        return {"enum": list(info.values)}
    if isinstance(info, inspect.EnumType):
        return {"enum": [member.value for member in info.cls]}
    if isinstance(info, inspect.StrType):
        limits = {
            "pattern": info.pattern,
            "minLength": info.min_length,
            "maxLength": info.max_length,
        }
        return {"type": "string", **_given(limits)}
    if isinstance(info, inspect.IntType | inspect.FloatType):
        return {
            "type": "integer" if isinstance(info, inspect.IntType) else "number",
            **_given(
                {
                    "minimum": info.ge,
                    "exclusiveMinimum": info.gt,
                    "maximum": info.le,
                    "exclusiveMaximum": info.lt,
                    "multipleOf": info.multiple_of,
                }
            ),
        }
    names = {inspect.BoolType: "boolean", inspect.NoneType: "null"}
    if type(info) not in names:
        raise TypeError(f"a setting of type {type(info).__name__} has no JSON Schema here")
    return {"type": names[type(info)]}


def _given(limits: Mapping[str, object]) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}


def _is_scalar(schema: Schema) -> bool:
    """Whether it asks for a scalar other than null, which a reference can stand for."""
    return "enum" in schema or schema.get("type") in ("string", "boolean", "integer", "number")


def _default(field: msgspec.structs.FieldInfo) -> object:
    """The default as JSON has it; None where there is none, or where the fields below say it."""
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    else:
        value = field.default
    return None if isinstance(value, msgspec.Struct) else msgspec.to_builtins(value)
