import { z } from 'zod';

/** What of a zod schema matters for walking a raw value beside it. */
export type Shape =
  | { readonly kind: 'object'; readonly keys: Readonly<Record<string, z.ZodType>>; readonly isOpen: boolean }
  | { readonly kind: 'array'; readonly element: z.ZodType }
  | { readonly kind: 'leaf' };

/** Takes optional, default, nullable, readonly and pipe wrappers off a schema, and says what is inside. */
export function shapeOf(schema: z.ZodType): Shape {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    const catchall = inner.def.catchall as z.ZodType | undefined;
    return {
      kind: 'object',
      keys: inner.shape,
      isOpen: catchall !== undefined && !(catchall instanceof z.ZodNever),
    };
  }
  if (inner instanceof z.ZodArray) return { kind: 'array', element: inner.element as z.ZodType };
  return { kind: 'leaf' };
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodCatch
  ) {
    return unwrap(schema.def.innerType as z.ZodType);
  }
  if (schema instanceof z.ZodPipe) {
    // Of `preprocess` the checked side is behind the pipe, of `transform` before it.
    const source = schema.def.in as z.ZodType;
    return unwrap(source instanceof z.ZodTransform ? (schema.def.out as z.ZodType) : source);
  }
  if (schema instanceof z.ZodUnion) {
    const members = (schema.def.options as readonly z.ZodType[]).map(unwrap);
    return members.find((member) => member instanceof z.ZodObject || member instanceof z.ZodArray) ?? schema;
  }
  if (schema instanceof z.ZodLazy) return unwrap(schema.def.getter() as z.ZodType);
  return schema;
}
